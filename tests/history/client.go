package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const tableCount = 3

func tableOf(register int) int { return register * tableCount / registers }

type object = map[string]interface{}

// A client is one connection to the server.
type client struct {
	endpoint   string
	generation int // of the tables
	history    int
	http       http.Client
}

func newClient(endpoint string, generation, history int) *client {
	return &client{endpoint: endpoint, generation: generation, history: history, http: http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1},
	}}
}

// errNotDone: nobody listened, or the server said that it did nothing and asked to be asked again.
var errNotDone = errors.New("not done")

// An errBroken says that the outcome is not known. It may come even later when the server still lives.
type errBroken struct {
	cause error
	late  bool
}

func (e errBroken) Error() string { return e.cause.Error() }

type failure struct {
	Type    string `json:"__type"`
	Item    item   `json:"Item"`
	Reasons []struct {
		Code string
		Item item
	} `json:"CancellationReasons"`
	Message string `json:"message"`
}

func (f failure) is(name string) bool { return strings.HasSuffix(f.Type, "#"+name) }

// passing: refused for a reason that has nothing to do with the items.
func (f failure) passing() bool {
	for _, name := range [...]string{"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
		"TransactionConflictException", "TransactionInProgressException"} {
		if f.is(name) {
			return true
		}
	}
	passing := false
	for _, reason := range f.Reasons {
		passing = passing || passingReason(reason.Code)
	}
	return passing
}

func passingReason(code string) bool {
	return code == "TransactionConflict" || code == "ThrottlingError" || code == "ProvisionedThroughputExceeded"
}

type item map[string]map[string]string

func (it item) value() int64 {
	if it["v"] == nil {
		return absent
	}
	n, err := strconv.ParseInt(it["v"]["N"], 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// raw sends one request; the answer's status and body.
func (c *client) raw(target, path string, body []byte) (int, []byte, error) {
	request, _ := http.NewRequest("POST", c.endpoint+path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", target)
	request.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+time.Now().UTC().Format("20060102")+
		"/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="+
		strings.Repeat("0", 64))
	request.GetBody = nil // so that nothing is sent twice behind our back
	response, err := c.http.Do(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return 0, nil, errNotDone
		}
		return 0, nil, errBroken{err, true}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, errBroken{err, false} // it was answered, only the answer is lost
	}
	return response.StatusCode, answer, nil
}

// send returns nil in the first place when the answer is 200; it is then decoded into ret.
func (c *client) send(operation string, body object, ret interface{}) (*failure, error) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	service := "DynamoDB_20120810."
	if strings.HasPrefix(operation, "DynamoDBStreams") {
		service = ""
	}
	status, answer, err := c.raw(service+operation, "", text)
	if err != nil {
		return nil, err
	}
	if status >= 500 {
		return nil, errBroken{fmt.Errorf("%d %s", status, answer), false}
	}
	if status == 200 {
		if len(answer) == 0 {
			return nil, nil
		}
		if err := json.Unmarshal(answer, ret); err != nil {
			panic(fmt.Sprintf("%s: %v in %s", operation, err, answer))
		}
		return nil, nil
	}
	f := new(failure)
	if err := json.Unmarshal(answer, f); err != nil {
		panic(fmt.Sprintf("%s: %v in %s", operation, err, answer))
	}
	if f.passing() {
		return f, errNotDone
	}
	if !f.is("ConditionalCheckFailedException") && !f.is("TransactionCanceledException") && !f.is("DuplicateItemException") && !f.is("ExpiredIteratorException") {
		panic(fmt.Sprintf("%s %s: %s", operation, text, answer))
	}
	return f, nil
}

// ---- names ----

func (c *client) table(number int) string {
	return fmt.Sprintf("history-%d-%c", c.generation, 'a'+number)
}

func (c *client) pk(register int) string {
	if tableOf(register) == tableCount-1 {
		return fmt.Sprintf("h%d", c.history)
	}
	return fmt.Sprintf("h%d-%d", c.history, register)
}

// registerOf tells the history and the register of a key.
func registerOf(key item) (history, register int) {
	if key["sk"] != nil {
		register, _ = strconv.Atoi(key["sk"]["N"])
	}
	fmt.Sscanf(key["pk"]["S"], "h%d-%d", &history, &register)
	return history, register
}

func (c *client) place(register int) object {
	return object{"TableName": c.table(tableOf(register)), "Key": c.key(register)}
}

func (c *client) key(register int) object {
	key := object{"pk": object{"S": c.pk(register)}}
	if tableOf(register) == tableCount-1 {
		key["sk"] = number(int64(register))
	}
	return key
}

func number(n int64) object { return object{"N": strconv.FormatInt(n, 10)} }
