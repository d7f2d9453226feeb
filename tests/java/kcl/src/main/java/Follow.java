import static software.amazon.kinesis.common.InitialPositionInStreamExtended.newInitialPosition;

import com.amazonaws.services.dynamodbv2.streamsadapter.AmazonDynamoDBStreamsAdapterClient;
import com.amazonaws.services.dynamodbv2.streamsadapter.StreamsSchedulerFactory;
import com.amazonaws.services.dynamodbv2.streamsadapter.adapter.DynamoDBStreamsClientRecord;
import com.amazonaws.services.dynamodbv2.streamsadapter.model.DynamoDBStreamsProcessRecordsInput;
import com.amazonaws.services.dynamodbv2.streamsadapter.polling.DynamoDBStreamsPollingConfig;
import com.amazonaws.services.dynamodbv2.streamsadapter.processor.DynamoDBStreamsShardRecordProcessor;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.Record;
import software.amazon.awssdk.services.dynamodb.streams.DynamoDbStreamsClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.leases.LeaseManagementConfig;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.ShardRecordProcessorFactory;

/**
 * Follows a stream from its beginning through all its shards and prints what it sees, a line each:
 *
 * <pre>
 * begin SHARD
 * record SHARD SEQUENCE-NUMBER EVENT KEY OLD NEW      ("-": no such image; OLD and NEW are the number in attribute n)
 * end SHARD
 * </pre>
 *
 * Arguments: endpoint, stream ARN, name of the application (and of its lease table), file whose appearance ends it.
 */
public final class Follow {
	private static final PrintStream out = new PrintStream(System.out, true);

	private static synchronized void say(String... words) {
		out.println(String.join(" ", words));
	}

	private static String number(java.util.Map<String, AttributeValue> image) {
		return image == null || !image.containsKey("n") ? "-" : image.get("n").n();
	}

	private static final class Reader implements DynamoDBStreamsShardRecordProcessor {
		private String shard;

		@Override
		public void initialize(InitializationInput input) {
			shard = input.shardId();
			say("begin", shard);
		}

		@Override
		public void processRecords(DynamoDBStreamsProcessRecordsInput input) {
			for (DynamoDBStreamsClientRecord r : input.records()) {
				Record record = r.getRecord();
				say("record", shard, record.dynamodb().sequenceNumber(), record.eventNameAsString(),
				    record.dynamodb().keys().get("k").s(),
				    number(record.dynamodb().hasOldImage() ? record.dynamodb().oldImage() : null),
				    number(record.dynamodb().hasNewImage() ? record.dynamodb().newImage() : null));
			}
			try {
				if (!input.records().isEmpty())
					input.checkpointer().checkpoint();
			} catch (Exception e) {
				say("trouble checkpoint", e.toString());
			}
		}

		@Override
		public void leaseLost(LeaseLostInput input) {
			say("lost", shard);
		}

		@Override
		public void shardEnded(ShardEndedInput input) {
			say("end", shard);
			try {
				input.checkpointer().checkpoint();
			} catch (Exception e) {
				say("trouble end", e.toString());
			}
		}

		@Override
		public void shutdownRequested(ShutdownRequestedInput input) {
			try {
				input.checkpointer().checkpoint();
			} catch (Exception e) {
				say("trouble shutdown", e.toString());
			}
		}
	}

	private static final class Factory implements ShardRecordProcessorFactory {
		@Override
		public ShardRecordProcessor shardRecordProcessor() {
			return new Reader();
		}
	}

	public static void main(String[] args) throws Exception {
		URI endpoint = URI.create(args[0]);
		String stream = args[1], application = args[2];
		Path until = Path.of(args[3]);
		Region region = Region.US_EAST_1;
		StaticCredentialsProvider credentials =
		    StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
		DynamoDbAsyncClient table = DynamoDbAsyncClient.builder()
						.endpointOverride(endpoint)
						.region(region)
						.credentialsProvider(credentials)
						.build();
		CloudWatchAsyncClient unused = CloudWatchAsyncClient.builder()
						   .endpointOverride(endpoint)
						   .region(region)
						   .credentialsProvider(credentials)
						   .build();
		AmazonDynamoDBStreamsAdapterClient adapter =
		    new AmazonDynamoDBStreamsAdapterClient(DynamoDbStreamsClient.builder()
							       .endpointOverride(endpoint)
							       .region(region)
							       .credentialsProvider(credentials)
							       .build(),
							   region);
		ConfigsBuilder configs = new ConfigsBuilder(
		    StreamsSchedulerFactory.createSingleStreamTracker(
			stream, newInitialPosition(InitialPositionInStream.TRIM_HORIZON)),
		    application, adapter, table, unused, "worker", new Factory());
		DynamoDBStreamsPollingConfig polling = new DynamoDBStreamsPollingConfig(adapter);

		polling.idleTimeBetweenReadsInMillis(100);
		LeaseManagementConfig leases = configs.leaseManagementConfig();

		leases.failoverTimeMillis(6000).billingMode(BillingMode.PAY_PER_REQUEST).shardSyncIntervalMillis(0);
		leases.workerUtilizationAwareAssignmentConfig().workerMetricsReporterFreqInMillis(1000);
		Scheduler scheduler = StreamsSchedulerFactory.createScheduler(
		    configs.checkpointConfig(),
		    configs.coordinatorConfig().parentShardPollIntervalMillis(200).shardConsumerDispatchPollIntervalMillis(100),
		    leases,
		    configs.lifecycleConfig(), configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
		    configs.processorConfig(), configs.retrievalConfig().retrievalSpecificConfig(polling), adapter);
		Thread runs = new Thread(scheduler, "scheduler");

		runs.setDaemon(true);
		runs.start();
		say("running");
		while (!Files.exists(until))
			Thread.sleep(100);
		try {
			scheduler.startGracefulShutdown().get(60, TimeUnit.SECONDS);
		} catch (TimeoutException e) {
			say("cut"); /* its end has taken longer than that, all records long told */
		}
		say("stopped");
		System.exit(0);
	}
}
