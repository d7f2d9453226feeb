package main

import (
	"errors"
	"fmt"
	"math/big"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

var streamRecords, streamRecordsSeen int

// A record of a stream. The same record is the same text, whenever it is told.
type record struct {
	number   string
	event    string
	key      item
	old, new int64
}

func (r record) String() string {
	return fmt.Sprint(r.number, " ", r.event, " ", r.key, " ", describeValues(r.old, r.new))
}

// A follower reads the streams of a generation's tables as they grow, through everything that happens to the server.
type follower struct {
	client *client
	arns   []string
	shards map[string]*followed // by ARN and shard
	fault  error
	stop   chan struct{}
	ended  chan struct{}
}

type followed struct {
	arn, shard, parent string
	iterator           string
	records            []record
	done               bool
}

type followers struct {
	endpoint   string
	generation int
	live       *follower
	histories  map[int][]porcupine.Operation
}

func startFollowers(endpoint string, generation int) *followers {
	f := &followers{endpoint: endpoint, generation: generation, live: newFollower(endpoint, generation), histories: map[int][]porcupine.Operation{}}
	go func() {
		defer close(f.live.ended)
		for {
			select {
			case <-f.live.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if f.live.fault = f.live.look(f.live.stop); f.live.fault != nil {
				return
			}
		}
	}()
	return f
}

func newFollower(endpoint string, generation int) *follower {
	return &follower{client: newClient(endpoint, generation, 0), shards: map[string]*followed{}, stop: make(chan struct{}), ended: make(chan struct{})}
}

// ask until there is an answer, or the end.
func (f *follower) ask(operation string, body object, ret interface{}, stop <-chan struct{}) (bool, error) {
	target := "DynamoDBStreams_20120810." + operation
	if operation == "DescribeTable" {
		target = operation
	}
	for {
		failure, err := f.client.send(target, body, ret)
		if failure != nil && failure.is("ExpiredIteratorException") {
			return false, errExpired
		}
		if err == nil && failure == nil {
			return true, nil
		}
		var broken errBroken
		if err == nil || (err != errNotDone && !errors.As(err, &broken)) {
			return false, fmt.Errorf("%s: %v %v", operation, failure, err)
		}
		select {
		case <-stop:
			return false, nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// errExpired: an iterator of a clock that was ahead. It is fetched again at the same place.
var errExpired = errors.New("expired")

// look reads what is new in all shards; parents before their children.
func (f *follower) look(stop <-chan struct{}) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	if f.arns == nil {
		for i := 0; i < tableCount; i++ {
			var ret struct {
				Table struct{ LatestStreamArn string }
			}
			if ok, err := f.ask("DescribeTable", object{"TableName": f.client.table(i)}, &ret, stop); !ok {
				return err
			}
			f.arns = append(f.arns, ret.Table.LatestStreamArn)
		}
		for _, arn := range f.arns {
			if ok, err := f.describe(arn, stop); !ok {
				return err
			}
		}
	}
	for again := true; again; {
		again = false
		for _, shard := range f.open() {
			ok, err := f.read(shard, stop)
			if !ok {
				return err
			}
			if shard.done { // its children may be new
				again = true
				if ok, err := f.describe(shard.arn, stop); !ok {
					return err
				}
			}
		}
	}
	return nil
}

func (f *follower) describe(arn string, stop <-chan struct{}) (bool, error) {
	request := object{"StreamArn": arn}
	for {
		var ret struct {
			StreamDescription struct {
				Shards               []struct{ ShardId, ParentShardId string }
				LastEvaluatedShardId string
			}
		}
		if ok, err := f.ask("DescribeStream", request, &ret, stop); !ok {
			return false, err
		}
		for _, shard := range ret.StreamDescription.Shards {
			if name := arn + " " + shard.ShardId; f.shards[name] == nil {
				f.shards[name] = &followed{arn: arn, shard: shard.ShardId, parent: shard.ParentShardId}
			}
		}
		if ret.StreamDescription.LastEvaluatedShardId == "" {
			return true, nil
		}
		request["ExclusiveStartShardId"] = ret.StreamDescription.LastEvaluatedShardId
	}
}

// open tells the shards that may have more, and whose parents have been read to their end.
func (f *follower) open() (list []*followed) {
	for _, shard := range f.shards {
		parent := f.shards[shard.arn+" "+shard.parent]
		if !shard.done && (parent == nil || parent.done) {
			list = append(list, shard)
		}
	}
	return list
}

// read takes what the shard has now. The iterator outlives the server's process.
func (f *follower) read(shard *followed, stop <-chan struct{}) (bool, error) {
	if shard.iterator == "" {
		var ret struct{ ShardIterator string }
		body := object{"StreamArn": shard.arn, "ShardId": shard.shard, "ShardIteratorType": "TRIM_HORIZON"}
		if n := len(shard.records); n > 0 {
			body["ShardIteratorType"], body["SequenceNumber"] = "AFTER_SEQUENCE_NUMBER", shard.records[n-1].number
		}
		if ok, err := f.ask("GetShardIterator", body, &ret, stop); !ok {
			return false, err
		}
		shard.iterator = ret.ShardIterator
	}
	for {
		var ret struct {
			Records []struct {
				EventName string
				Dynamodb  struct {
					SequenceNumber           string
					Keys, OldImage, NewImage item
				}
			}
			NextShardIterator string
		}
		ok, err := f.ask("GetRecords", object{"ShardIterator": shard.iterator}, &ret, stop)
		if err == errExpired {
			shard.iterator = ""
			return true, nil
		}
		if !ok {
			return false, err
		}
		for _, r := range ret.Records {
			d := r.Dynamodb
			shard.records = append(shard.records, record{d.SequenceNumber, r.EventName, d.Keys, d.OldImage.value(), d.NewImage.value()})
		}
		shard.iterator, shard.done = ret.NextShardIterator, ret.NextShardIterator == ""
		if shard.done || len(ret.Records) == 0 {
			return true, nil
		}
	}
}

func (f *followers) add(number int, history []porcupine.Operation) { f.histories[number] = history }

// compare ends the following, reads all streams again from their beginning and looks at what they tell: what was seen is there
// still, at the same place; numbers rise; each item's records are its history without a gap, up to what it is now; and every
// write that was acknowledged with a value of its own is among them once, while none is that was refused.
func (f *followers) compare() error {
	close(f.live.stop)
	<-f.live.ended
	defer f.live.client.http.CloseIdleConnections()
	if f.live.fault != nil {
		return f.live.fault
	}
	all := newFollower(f.endpoint, f.generation)
	defer all.client.http.CloseIdleConnections()
	if err := all.look(nil); err != nil {
		return err
	}
	return compareStreams(f.live.shards, all.shards, f.histories, f.final)
}

// final is what a register is now.
func (f *followers) final(history, register int) (int64, error) {
	c := newClient(f.endpoint, f.generation, history)
	defer c.http.CloseIdleConnections()
	a, err := c.get(register)
	return a.values[0], err
}

func compareStreams(live, all map[string]*followed, histories map[int][]porcupine.Operation, final func(history, register int) (int64, error)) error {
	for name, shard := range live {
		whole := all[name]
		if whole == nil {
			return fmt.Errorf("shard %s is gone", name)
		}
		if len(whole.records) < len(shard.records) {
			return fmt.Errorf("%s had %d records, has %d", name, len(shard.records), len(whole.records))
		}
		for i, r := range shard.records {
			if r.String() != whole.records[i].String() {
				return fmt.Errorf("%s: told as %s, later as %s", name, r, whole.records[i])
			}
		}
		streamRecordsSeen += len(shard.records)
	}
	items := map[string][]record{}
	for name, shard := range all {
		streamRecords += len(shard.records)
		for i, r := range shard.records {
			if i > 0 && !rises(shard.records[i-1].number, r.number) {
				return fmt.Errorf("%s: %s after %s", name, r, shard.records[i-1])
			}
			history, register := registerOf(r.key)
			item := fmt.Sprint(history, " ", register)
			items[item] = append(items[item], r)
		}
	}
	news := map[int64]int{} // how often a value was written
	for item, records := range items {
		sort.Slice(records, func(a, b int) bool { return rises(records[a].number, records[b].number) })
		now := absent
		for i, r := range records {
			if i > 0 && r.number == records[i-1].number {
				return fmt.Errorf("two records have the number %s", r.number)
			}
			event := "MODIFY"
			if r.old == absent {
				event = "INSERT"
			} else if r.new == absent {
				event = "REMOVE"
			}
			if r.old != now || r.event != event || r.new == now {
				return fmt.Errorf("item %s is %s, then comes %s", item, describeValues(now)[0], r)
			}
			now = r.new
			news[now]++
		}
		var history, register int
		fmt.Sscan(item, &history, &register)
		if is, err := final(history, register); err != nil || is != now {
			return fmt.Errorf("item %s ends as %s in its stream and is %s (%v)", item, describeValues(now)[0], describeValues(is)[0], err)
		}
	}
	return compareWrites(histories, news)
}

// compareWrites: values of puts and sets are each written by one call only. Additions may make one again, so once is at least once.
func compareWrites(histories map[int][]porcupine.Operation, news map[int64]int) error {
	for number, history := range histories {
		for _, o := range history {
			c, a := o.Input.(call), o.Output.(answer)
			for _, action := range c.actions {
				if (action.kind != actPut && action.kind != actSet) || a.unknown {
					continue
				}
				if a.done && news[action.value] == 0 {
					return fmt.Errorf("history %d: %s is in no stream", number, describe(c))
				}
			}
		}
	}
	return nil
}

func rises(a, b string) bool {
	x, _ := new(big.Int).SetString(a, 10)
	y, _ := new(big.Int).SetString(b, 10)
	return x.Cmp(y) < 0
}
