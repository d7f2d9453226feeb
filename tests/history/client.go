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

var tables = [...]string{"history-a", "history-b"}

type object = map[string]interface{}

// A client is one connection to the server.
type client struct {
	endpoint string
	history  int
	http     http.Client
}

func newClient(endpoint string, history int) *client {
	return &client{endpoint: endpoint, history: history, http: http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1},
	}}
}

// errNotSent: nobody listened, so the request was not even begun.
const conflict = "TransactionConflictException"

var errNotSent = errors.New("not sent")

// An errBroken says that the outcome is not known.
type errBroken struct{ cause error }

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

// send returns nil in the second place when the answer is 200; it is then decoded into ret.
func (c *client) send(operation string, body object, ret interface{}) (*failure, error) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	request, _ := http.NewRequest("POST", c.endpoint, bytes.NewReader(text))
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	request.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+time.Now().UTC().Format("20060102")+
		"/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="+
		strings.Repeat("0", 64))
	response, err := c.http.Do(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return nil, errNotSent
		}
		return nil, errBroken{err}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 500 {
		return nil, errBroken{fmt.Errorf("%d %s %v", response.StatusCode, answer, err)}
	}
	if response.StatusCode == 200 {
		if err := json.Unmarshal(answer, ret); err != nil {
			panic(fmt.Sprintf("%s: %v in %s", operation, err, answer))
		}
		return nil, nil
	}
	f := new(failure)
	if err := json.Unmarshal(answer, f); err != nil {
		panic(fmt.Sprintf("%s: %v in %s", operation, err, answer))
	}
	if !f.is("ConditionalCheckFailedException") && !f.is("TransactionCanceledException") && !f.is(conflict) {
		panic(fmt.Sprintf("%s %s: %s", operation, text, answer))
	}
	return f, nil
}

func (c *client) place(register int) object {
	return object{
		"TableName": tables[register%len(tables)],
		"Key":       c.key(register),
	}
}

func (c *client) key(register int) object {
	return object{"pk": object{"S": fmt.Sprintf("h%d-%d", c.history, register)}}
}

func number(n int64) object { return object{"N": strconv.FormatInt(n, 10)} }

// request is the action as a single operation asks for it, and as an element of TransactItems.
func (c *client) request(a action) (member string, body object) {
	values := object{}
	body = c.place(a.register)
	switch a.kind {
	case actPut:
		member = "Put"
		it := c.key(a.register)
		it["v"] = number(a.value)
		body["Item"] = it
		delete(body, "Key")
	case actAdd:
		member = "Update"
		body["UpdateExpression"] = "ADD v :d"
		values[":d"] = number(a.value)
	case actDelete:
		member = "Delete"
	case actCheck:
		member = "ConditionCheck"
	}
	switch {
	case a.cond == condAbsent || (a.cond == condEquals && a.expected == absent):
		body["ConditionExpression"] = "attribute_not_exists(pk)"
	case a.cond == condEquals:
		body["ConditionExpression"] = "v = :e"
		values[":e"] = number(a.expected)
	}
	if a.cond != condNone {
		body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
	}
	if len(values) > 0 {
		body["ExpressionAttributeValues"] = values
	}
	return member, body
}

func (c *client) get(register int) (answer, error) {
	var ret struct{ Item item }
	body := c.place(register)
	body["ConsistentRead"] = true
	_, err := c.send("GetItem", body, &ret)
	return answer{values: []int64{ret.Item.value()}}, err
}

func (c *client) write(a action) (answer, error) {
	var ret struct{ Attributes item }
	member, body := c.request(a)
	body["ReturnValues"] = "ALL_OLD"
	f, err := c.send(member+"Item", body, &ret)
	if err != nil {
		return answer{}, err
	}
	if f != nil && f.is(conflict) {
		return answer{conflicts: []bool{true}}, nil
	}
	if f != nil {
		return answer{failed: []bool{true}, items: []int64{f.Item.value()}}, nil
	}
	return answer{done: true, values: []int64{ret.Attributes.value()}}, nil
}

func (c *client) transactGet(reads []int) (answer, error) {
	var ret struct{ Responses []struct{ Item item } }
	var items []object
	for _, register := range reads {
		items = append(items, object{"Get": c.place(register)})
	}
	_, err := c.send("TransactGetItems", object{"TransactItems": items}, &ret)
	var a answer
	for _, response := range ret.Responses {
		a.values = append(a.values, response.Item.value())
	}
	return a, err
}

func (c *client) transactWrite(actions []action, token string) (answer, error) {
	var items []object
	for _, a := range actions {
		member, body := c.request(a)
		items = append(items, object{member: body})
	}
	body := object{"TransactItems": items}
	if token != "" {
		body["ClientRequestToken"] = token
	}
	f, err := c.send("TransactWriteItems", body, &object{})
	if err != nil {
		return answer{}, err
	}
	if f == nil {
		return answer{done: true}, nil
	}
	a := answer{failed: make([]bool, len(actions)), items: make([]int64, len(actions))}
	for i, reason := range f.Reasons {
		if reason.Code == "TransactionConflict" {
			if a.conflicts == nil {
				a.conflicts = make([]bool, len(actions))
			}
			a.conflicts[i] = true
			continue
		}
		if reason.Code != "None" && reason.Code != "ConditionalCheckFailed" {
			panic("unexpected reason: " + reason.Code)
		}
		a.failed[i] = reason.Code == "ConditionalCheckFailed"
		a.items[i] = reason.Item.value()
	}
	return a, nil
}

// createTables makes what is missing and waits until all can be used.
func createTables(endpoint string) error {
	for _, name := range tables {
		body := object{
			"TableName":            name,
			"BillingMode":          "PAY_PER_REQUEST",
			"AttributeDefinitions": []object{{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "v", "AttributeType": "N"}},
			"KeySchema":            []object{{"AttributeName": "pk", "KeyType": "HASH"}},
			"GlobalSecondaryIndexes": []object{{
				"IndexName":  "by-v",
				"KeySchema":  []object{{"AttributeName": "v", "KeyType": "HASH"}},
				"Projection": object{"ProjectionType": "ALL"},
			}},
		}
		if err := post(endpoint, "CreateTable", body, "ResourceInUseException"); err != nil {
			return err
		}
		for {
			err := post(endpoint, "GetItem", object{"TableName": name, "Key": object{"pk": object{"S": "x"}}}, "")
			if err == nil {
				break
			}
			if !strings.Contains(err.Error(), "ResourceNotFoundException") {
				return err
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}

// post is for set-up: anything but success (or the exception allowed) is an error.
func post(endpoint, operation string, body object, allowed string) (err error) {
	defer func() {
		if r := recover(); r != nil && (allowed == "" || !strings.Contains(fmt.Sprint(r), allowed)) {
			err = fmt.Errorf("%v", r)
		}
	}()
	_, err = newClient(endpoint, 0).send(operation, body, &object{})
	return err
}
