import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

import io.netty.channel.nio.NioEventLoopGroup;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.protocol.MarshallingType;
import software.amazon.awssdk.core.traits.ListTrait;
import software.amazon.awssdk.core.traits.MapTrait;
import software.amazon.awssdk.core.util.SdkAutoConstructList;
import software.amazon.awssdk.core.util.SdkAutoConstructMap;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.protocols.jsoncore.JsonWriter;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.utils.builder.Buildable;
import software.amazon.dax.ClusterDaxClient;
import software.amazon.dax.Configuration;

/**
 * A DAX client of Java under a test's command: lines of {"op", "params"} in, lines of {"result"} or {"error"} out, both in
 * DynamoDB JSON.
 *
 *     java Driver dax://127.0.0.1:8111 region [requests at once]
 */
public class Driver {
	private static DynamoDbClient client;

	// DynamoDB JSON to the SDK's objects, by what they tell of their fields

	private static Object read(JsonNode node, SdkField<?> field) {
		MarshallingType<?> type = field.marshallingType();
		if (node.isNull()) {
			return null;
		}
		if (type == MarshallingType.SDK_POJO) {
			return readPojo(node, (SdkPojo) field.constructor().get());
		}
		if (type == MarshallingType.LIST) {
			SdkField<?> element = field.getTrait(ListTrait.class).memberFieldInfo();
			List<Object> list = new ArrayList<>();
			for (JsonNode each : node.asArray()) {
				list.add(read(each, element));
			}
			return list;
		}
		if (type == MarshallingType.MAP) {
			SdkField<?> element = field.getTrait(MapTrait.class).valueFieldInfo();
			Map<String, Object> map = new LinkedHashMap<>();
			node.asObject().forEach((name, each) -> map.put(name, read(each, element)));
			return map;
		}
		if (type == MarshallingType.SDK_BYTES) {
			return SdkBytes.fromByteArray(Base64.getDecoder().decode(node.asString()));
		}
		if (type == MarshallingType.BOOLEAN) {
			return node.asBoolean();
		}
		if (type == MarshallingType.INTEGER) {
			return Integer.parseInt(node.asNumber());
		}
		return node.asString();
	}

	private static Object readPojo(JsonNode node, SdkPojo builder) {
		for (SdkField<?> field : builder.sdkFields()) {
			JsonNode member = node.asObject().get(field.locationName());
			if (member != null) {
				field.set(builder, read(member, field));
			}
		}
		return ((Buildable) builder).build();
	}

	// and back

	private static void write(JsonWriter out, Object value) {
		if (value instanceof SdkPojo pojo) {
			out.writeStartObject();
			for (SdkField<?> field : pojo.sdkFields()) {
				Object member = field.getValueOrDefault(pojo);
				if (member != null && !(member instanceof SdkAutoConstructList) && !(member instanceof SdkAutoConstructMap)) {
					out.writeFieldName(field.locationName());
					write(out, member);
				}
			}
			out.writeEndObject();
		} else if (value instanceof List<?> list) {
			out.writeStartArray();
			list.forEach(each -> write(out, each));
			out.writeEndArray();
		} else if (value instanceof Map<?, ?> map) {
			out.writeStartObject();
			map.forEach((name, each) -> {
				out.writeFieldName((String) name);
				write(out, each);
			});
			out.writeEndObject();
		} else if (value instanceof SdkBytes bytes) {
			out.writeValue(Base64.getEncoder().encodeToString(bytes.asByteArray()));
		} else if (value instanceof Boolean flag) {
			out.writeValue(flag);
		} else if (value instanceof Integer number) {
			out.writeValue(number);
		} else if (value instanceof Double number) {
			out.writeValue(number);
		} else if (value == null) {
			out.writeNull();
		} else {
			out.writeValue(value.toString());
		}
	}

	private static Object call(String op, JsonNode params) throws Throwable {
		for (Method method : DynamoDbClient.class.getMethods()) {
			Class<?>[] arguments = method.getParameterTypes();
			if (method.getName().equals(op) && arguments.length == 1 && SdkPojo.class.isAssignableFrom(arguments[0])) {
				Object builder = arguments[0].getMethod("builder").invoke(null);
				try {
					return method.invoke(client, readPojo(params, (SdkPojo) builder));
				} catch (java.lang.reflect.InvocationTargetException thrown) {
					throw thrown.getCause();
				}
			}
		}
		throw new IllegalArgumentException("no operation " + op);
	}

	private static void describe(JsonWriter out, Throwable thrown) {
		out.writeStartObject();
		out.writeFieldName("name");
		out.writeValue(thrown.getClass().getSimpleName());
		String message = String.valueOf(thrown.getMessage());
		if (thrown instanceof AwsServiceException failed && failed.awsErrorDetails() != null) {
			out.writeFieldName("code");
			out.writeValue(failed.awsErrorDetails().errorCode());
			message = String.valueOf(failed.awsErrorDetails().errorMessage());
		}
		out.writeFieldName("message");
		out.writeValue(message);
		if (thrown instanceof TransactionCanceledException canceled) {
			out.writeFieldName("reasons");
			write(out, canceled.cancellationReasons());
		}
		out.writeEndObject();
	}

	private static void run(String line) {
		JsonNode request = JsonNode.parser().parse(line);
		JsonWriter out = JsonWriter.create();
		out.writeStartObject();
		JsonNode id = request.asObject().get("id");
		if (id != null && id.isNumber()) {
			out.writeFieldName("id");
			out.writeValue(Integer.parseInt(id.asNumber()));
		}
		try {
			Object result = call(request.asObject().get("op").asString(), request.asObject().get("params"));
			out.writeFieldName("result");
			write(out, result);
		} catch (Throwable thrown) {
			out.writeFieldName("error");
			describe(out, thrown);
		}
		out.writeEndObject();
		String text = new String(out.getBytes(), StandardCharsets.UTF_8);
		synchronized (Driver.class) {
			System.out.println(text);
			System.out.flush();
		}
	}

	private static String env(String name, String fallback) {
		String value = System.getenv(name);
		return value != null && !value.isEmpty() ? value : fallback;
	}

	/**
	 * The library (2.0.10) may lock itself up for ever when a node leaves the cluster: the thread that looks for the nodes holds
	 * the monitor of its Cluster while it closes the pool of the one that left (Cluster.update, FixedChannelPool.close), which
	 * waits for a thread of the event loop; that thread may be waiting for the same monitor. It asks for it after each answer or
	 * failure of a request (Cluster.isRouteManagerEnabled), unless there are no health checks, and when it tries a request again
	 * (Cluster.client), for which the library takes this group as a mere Executor. No timeout ends that: the library's run on the
	 * thread that waits, and whoever makes a new call waits for the monitor too. So where a node leaves, a test's client does
	 * neither on the event loop.
	 */
	private static void neverLockUp(Configuration.Builder configuration) {
		ExecutorService again = Executors.newCachedThreadPool();
		configuration.enableHealthChecks(false).eventLoopGroup(new NioEventLoopGroup() {
			@Override
			public void execute(Runnable task) {
				again.execute(task);
			}
		});
	}

	public static void main(String[] args) throws Exception {
		Configuration.Builder configuration = Configuration.builder()
			.url(args[0])
			.region(Region.of(args[1]))
			.credentialsProvider(StaticCredentialsProvider.create(
				AwsBasicCredentials.create(env("DAX_ACCESS_KEY", "test"), env("DAX_SECRET_KEY", "test"))))
			.skipHostNameVerification(true)
			.requestTimeoutMillis(Integer.parseInt(env("DAX_REQUEST_MS", "60000"))); // the library's own
		if (!env("DAX_NODES_LEAVE", "").isEmpty()) {
			neverLockUp(configuration);
		}
		client = ClusterDaxClient.builder().overrideConfiguration(configuration.build()).build();
		ExecutorService pool = Executors.newFixedThreadPool(args.length > 2 ? Integer.parseInt(args[2]) : 1);
		BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		for (String line = lines.readLine(); line != null; line = lines.readLine()) {
			String one = line;
			pool.execute(() -> run(one));
		}
		pool.shutdown();
		pool.awaitTermination(1, TimeUnit.MINUTES);
		System.exit(0);
	}
}
