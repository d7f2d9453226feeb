package main

import (
	"encoding/json"
	"errors"
	"fmt"
)

// administer does what lies between histories. The last of them may have left an engine that does not take writes yet: it answers
// InternalServerError, and is asked again, as any client would do. Such an answer leaves open whether it was done, so the errors in
// done, which say that there is nothing left to do, are right after one, and wrong at the first time.
func administer(c *client, operation string, body object, ret interface{}, done ...string) error {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	for begin, open := now(), false; ; pause() {
		status, answer, err := c.raw("DynamoDB_20120810."+operation, "", text)
		if err == nil && status == 200 {
			return json.Unmarshal(answer, ret)
		}
		var f failure
		if err == nil && status < 500 {
			if err := json.Unmarshal(answer, &f); err != nil {
				return fmt.Errorf("%s: %v in %s", operation, err, answer)
			}
			for _, name := range done {
				if open && f.is(name) {
					return nil
				}
			}
			if !f.passing() { // what a trouble armed, like throttling, was taken back before
				return fmt.Errorf("%s %s: %d %s", operation, text, status, answer)
			}
		}
		if err != nil && !errors.Is(err, errNotDone) || status >= 500 {
			open = true
		}
		if tooLong(begin) {
			return fmt.Errorf("%s %s, tried for %v: %d %s %v", operation, text, longest, status, answer, err)
		}
	}
}

// createTables makes those of a generation and waits until all can be used.
func createTables(endpoint string, generation int) error {
	c := newClient(endpoint, generation, 0)
	defer c.http.CloseIdleConnections()
	for i := 0; i < tableCount; i++ {
		if err := administer(c, "CreateTable", tableBody(c, i), &object{}, "ResourceInUseException"); err != nil {
			return err
		}
		var ret struct {
			Table struct{ TableStatus string }
		}
		for ret.Table.TableStatus != "ACTIVE" {
			if err := administer(c, "DescribeTable", object{"TableName": c.table(i)}, &ret); err != nil {
				return err
			}
			pause()
		}
	}
	return nil
}

func tableBody(c *client, number int) object {
	attributes := []object{{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "v", "AttributeType": "N"}}
	schema := []object{{"AttributeName": "pk", "KeyType": "HASH"}}
	if number == tableCount-1 {
		attributes = append(attributes, object{"AttributeName": "sk", "AttributeType": "N"})
		schema = append(schema, object{"AttributeName": "sk", "KeyType": "RANGE"})
	}
	return object{
		"TableName":            c.table(number),
		"BillingMode":          "PAY_PER_REQUEST",
		"AttributeDefinitions": attributes,
		"KeySchema":            schema,
		"GlobalSecondaryIndexes": []object{{
			"IndexName":  "by-v",
			"KeySchema":  []object{{"AttributeName": "v", "KeyType": "HASH"}},
			"Projection": object{"ProjectionType": "ALL"},
		}},
		"StreamSpecification": object{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
	}
}

// deleteTables of a generation. That one is being deleted is what ResourceInUseException says here: it was ACTIVE.
func deleteTables(endpoint string, generation int) error {
	c := newClient(endpoint, generation, 0)
	defer c.http.CloseIdleConnections()
	for i := 0; i < tableCount; i++ {
		if err := administer(c, "DeleteTable", object{"TableName": c.table(i)}, &object{}, "ResourceNotFoundException", "ResourceInUseException"); err != nil {
			return err
		}
	}
	return nil
}
