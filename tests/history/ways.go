package main

import (
	"fmt"
	"sort"
	"strings"
)

// ---- expressions, as several ways need them ----

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
	case actSet:
		member = "Update"
		body["UpdateExpression"] = "SET v = :d"
		values[":d"] = number(a.value)
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
	case a.cond == condExists:
		body["ConditionExpression"] = "attribute_exists(pk)"
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

// statement is the action in PartiQL, which has fewer: see statable.
func (c *client) statement(a action) object {
	table := c.table(tableOf(a.register))
	where, keys := "pk = ?", []interface{}{object{"S": c.pk(a.register)}}
	if tableOf(a.register) == tableCount-1 {
		where, keys = where+" AND sk = ?", append(keys, number(int64(a.register)))
	}
	if a.cond == condEquals || a.cond == condEqualsOrAbsent {
		where, keys = where+" AND v = ?", append(keys, number(a.expected))
	}
	var text string
	switch a.kind {
	case actPut:
		names := "'pk': ?"
		if len(keys) > 1 {
			names += ", 'sk': ?"
		}
		text, keys = fmt.Sprintf("INSERT INTO \"%s\" VALUE {%s, 'v': ?}", table, names), append(keys, number(a.value))
	case actSet:
		text, keys = fmt.Sprintf("UPDATE \"%s\" SET v = ? WHERE %s", table, where), append([]interface{}{number(a.value)}, keys...)
	case actAdd:
		text, keys = fmt.Sprintf("UPDATE \"%s\" SET v = v + ? WHERE %s", table, where), append([]interface{}{number(a.value)}, keys...)
	case actDelete:
		text = fmt.Sprintf("DELETE FROM \"%s\" WHERE %s", table, where)
	case actCheck:
		text = fmt.Sprintf("EXISTS(SELECT * FROM \"%s\" WHERE %s)", table, where)
	}
	return object{"Statement": text, "Parameters": keys, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
}

// statable: what PartiQL can say. INSERT wants the item to be absent, UPDATE wants it to be there.
func statable(a action) action {
	switch a.kind {
	case actPut:
		a.cond = condAbsent
	case actDelete:
		if a.cond == condEquals {
			a.cond = condEqualsOrAbsent
		} else {
			a.cond = condNone
		}
	default:
		if a.cond != condEquals {
			a.cond = condExists
		}
	}
	if (a.cond == condEquals || a.cond == condEqualsOrAbsent) && a.expected == absent { // nothing is equal to what is not there
		a.expected = 0
	}
	if a.kind == actCheck && a.cond == condExists {
		a.cond, a.expected = condEquals, a.value
	}
	return a
}

func (c *client) selection(register int) object {
	s := c.statement(action{kind: actDelete, register: register})
	s["Statement"] = strings.Replace(s["Statement"].(string), "DELETE FROM", "SELECT * FROM", 1)
	delete(s, "ReturnValuesOnConditionCheckFailure")
	return s
}

// ---- reads ----

func (c *client) get(register int) (answer, error) {
	var ret struct{ Item item }
	body := c.place(register)
	body["ConsistentRead"] = true
	_, err := c.send("GetItem", body, &ret)
	return answer{values: []int64{ret.Item.value()}}, err
}

func (c *client) selectOne(register int) (answer, error) {
	var ret struct{ Items []item }
	body := c.selection(register)
	body["ConsistentRead"] = true
	_, err := c.send("ExecuteStatement", body, &ret)
	return valuesOf(ret.Items, []int{register})[0], err
}

func (c *client) transactGet(reads []int) (answer, error) {
	var ret struct{ Responses []struct{ Item item } }
	var items []object
	for _, register := range reads {
		items = append(items, object{"Get": c.place(register)})
	}
	_, err := c.send("TransactGetItems", object{"TransactItems": items}, &ret)
	return together(ret.Responses), err
}

func (c *client) selectTransaction(reads []int) (answer, error) {
	var ret struct{ Responses []struct{ Item item } }
	var statements []object
	for _, register := range reads {
		statements = append(statements, c.selection(register))
	}
	_, err := c.send("ExecuteTransaction", object{"TransactStatements": statements}, &ret)
	return together(ret.Responses), err
}

func together(responses []struct{ Item item }) (a answer) {
	for _, response := range responses {
		a.values = append(a.values, response.Item.value())
	}
	return a
}

// valuesOf deals what came in any order out to the registers that were asked for.
func valuesOf(items []item, reads []int) []answer {
	answers := make([]answer, len(reads))
	for i, register := range reads {
		answers[i].values = []int64{absent}
		for _, it := range items {
			if _, r := registerOf(it); r == register {
				answers[i].values[0] = it.value()
			}
		}
	}
	return answers
}

func (c *client) batchGet(reads []int) ([]answer, error) {
	tables := object{}
	for _, register := range reads {
		name := c.table(tableOf(register))
		if tables[name] == nil {
			tables[name] = object{"ConsistentRead": true, "Keys": []object{}}
		}
		of := tables[name].(object)
		of["Keys"] = append(of["Keys"].([]object), c.key(register))
	}
	var ret struct {
		Responses       map[string][]item
		UnprocessedKeys object
	}
	_, err := c.send("BatchGetItem", object{"RequestItems": tables}, &ret)
	if err == nil && len(ret.UnprocessedKeys) > 0 {
		err = errNotDone
	}
	var items []item
	for _, some := range ret.Responses {
		items = append(items, some...)
	}
	return valuesOf(items, reads), err
}

func (c *client) batchSelect(reads []int) ([]answer, error) {
	var statements []object
	for _, register := range reads {
		s := c.selection(register)
		s["ConsistentRead"] = true
		statements = append(statements, s)
	}
	responses, err := c.batchStatements(statements)
	answers := make([]answer, len(reads))
	for i, response := range responses {
		if response.Error != nil {
			return nil, errNotDone
		}
		answers[i].values = []int64{response.Item.value()}
	}
	return answers, err
}

type batchResponse struct {
	Item  item
	Error *struct {
		Code string
		Item item
	}
}

func (c *client) batchStatements(statements []object) ([]batchResponse, error) {
	var ret struct{ Responses []batchResponse }
	_, err := c.send("BatchExecuteStatement", object{"Statements": statements}, &ret)
	return ret.Responses, err
}

// query reads the item collection: a page is no transaction, but each of its items is a consistent read.
func (c *client) query(reads []int, forward bool) ([]answer, error) {
	var ret struct{ Items []item }
	_, err := c.send("Query", object{
		"TableName": c.table(tableCount - 1), "ConsistentRead": true, "KeyConditionExpression": "pk = :p", "ScanIndexForward": forward,
		"ExpressionAttributeValues": object{":p": object{"S": c.pk(registers - 1)}},
	}, &ret)
	return valuesOf(ret.Items, reads), err
}

func (c *client) scan(reads []int) ([]answer, error) {
	var items []item
	body := object{
		"TableName": c.table(tableOf(reads[0])), "ConsistentRead": true, "FilterExpression": "begins_with(pk, :h)",
		"ExpressionAttributeValues": object{":h": object{"S": fmt.Sprintf("h%d", c.history)}},
	}
	for {
		var ret struct {
			Items            []item
			LastEvaluatedKey object
		}
		if _, err := c.send("Scan", body, &ret); err != nil {
			return nil, err
		}
		items = append(items, ret.Items...)
		if ret.LastEvaluatedKey == nil {
			return valuesOf(items, reads), nil
		}
		body["ExclusiveStartKey"] = ret.LastEvaluatedKey
	}
}

// where asks the global index which registers hold a value: on one machine it is never behind the table.
func (c *client) where(table int, value int64) (answer, error) {
	var ret struct{ Items []item }
	_, err := c.send("Query", object{
		"TableName": c.table(table), "IndexName": "by-v", "KeyConditionExpression": "v = :v",
		"ExpressionAttributeValues": object{":v": number(value)},
	}, &ret)
	var a answer
	for _, it := range ret.Items {
		if history, register := registerOf(it); history == c.history {
			a.found |= 1 << register
		}
	}
	return a, err
}

// ---- writes ----

func refusedOne(f *failure) answer {
	return answer{failed: []bool{true}, items: []int64{f.Item.value()}}
}

// write is one of PutItem, UpdateItem, DeleteItem; returns: which images to ask for.
func (c *client) write(a action, returns string) (answer, error) {
	var ret struct{ Attributes item }
	member, body := c.request(a)
	if member != "Update" && strings.HasSuffix(returns, "NEW") {
		returns = "ALL_OLD"
	}
	if member != "Update" && returns == "UPDATED_OLD" {
		returns = "NONE"
	}
	body["ReturnValues"] = returns
	f, err := c.send(member+"Item", body, &ret)
	if err != nil {
		return answer{}, err
	}
	if f != nil {
		return refusedOne(f), nil
	}
	done := answer{done: true, before: unsaid, after: unsaid}
	switch returns {
	case "ALL_OLD", "UPDATED_OLD":
		done.before = ret.Attributes.value()
	case "ALL_NEW", "UPDATED_NEW":
		done.after = ret.Attributes.value()
	}
	return done, nil
}

func (c *client) state(a action) (answer, error) {
	var ret struct{ Items []item }
	body := c.statement(a)
	if a.kind == actSet || a.kind == actAdd || a.kind == actDelete {
		body["Statement"] = body["Statement"].(string) + " RETURNING ALL OLD *"
	}
	f, err := c.send("ExecuteStatement", body, &ret)
	if err != nil {
		return answer{}, err
	}
	if f != nil {
		a := refusedOne(f)
		if f.is("DuplicateItemException") || f.Item == nil {
			a.items[0] = unsaid
		}
		return a, nil
	}
	done := answer{done: true, before: unsaid, after: unsaid}
	if len(ret.Items) > 0 {
		done.before = ret.Items[0].value()
	}
	return done, nil
}

func (c *client) transact(operation, member string, elements []object, token string) (answer, error) {
	body := object{member: elements}
	if token != "" {
		body["ClientRequestToken"] = token
	}
	f, err := c.send(operation, body, &object{})
	if err != nil {
		return answer{}, err
	}
	if f == nil {
		return answer{done: true, before: unsaid, after: unsaid}, nil
	}
	a := answer{failed: make([]bool, len(elements)), items: make([]int64, len(elements))}
	for i, reason := range f.Reasons {
		switch reason.Code {
		case "None", "ConditionalCheckFailed", "DuplicateItem":
		default:
			panic("unexpected reason: " + reason.Code)
		}
		a.failed[i] = reason.Code != "None"
		a.items[i] = reason.Item.value()
		if reason.Item == nil && member == "TransactStatements" {
			a.items[i] = unsaid
		}
	}
	return a, nil
}

func (c *client) transactWrite(actions []action, token string) (answer, error) {
	var items []object
	for _, a := range actions {
		member, body := c.request(a)
		items = append(items, object{member: body})
	}
	return c.transact("TransactWriteItems", "TransactItems", items, token)
}

func (c *client) transactStatements(actions []action, token string) (answer, error) {
	var statements []object
	for _, a := range actions {
		statements = append(statements, c.statement(a))
	}
	return c.transact("ExecuteTransaction", "TransactStatements", statements, token)
}

// batchWrite: puts and deletes without conditions, each for itself. What was left unprocessed is told by nil in its place.
func (c *client) batchWrite(actions []action) ([]*answer, error) {
	tables := map[string][]object{}
	for _, a := range actions {
		element := object{"DeleteRequest": object{"Key": c.key(a.register)}}
		if a.kind == actPut {
			it := c.key(a.register)
			it["v"] = number(a.value)
			element = object{"PutRequest": object{"Item": it}}
		}
		name := c.table(tableOf(a.register))
		tables[name] = append(tables[name], element)
	}
	var ret struct {
		UnprocessedItems map[string][]struct {
			PutRequest    struct{ Item item }
			DeleteRequest struct{ Key item }
		}
	}
	_, err := c.send("BatchWriteItem", object{"RequestItems": tables}, &ret)
	left := map[int]bool{}
	for _, elements := range ret.UnprocessedItems {
		for _, element := range elements {
			key := element.PutRequest.Item
			if key == nil {
				key = element.DeleteRequest.Key
			}
			_, register := registerOf(key)
			left[register] = true
		}
	}
	answers := make([]*answer, len(actions))
	for i, a := range actions {
		if !left[a.register] {
			answers[i] = &answer{done: true, before: unsaid, after: unsaid}
		}
	}
	return answers, err
}

// batchState: statements, each for itself; nil: not done, for a reason that passes.
func (c *client) batchState(actions []action) ([]*answer, error) {
	var statements []object
	for _, a := range actions {
		statements = append(statements, c.statement(a))
	}
	responses, err := c.batchStatements(statements)
	answers := make([]*answer, len(actions))
	for i, response := range responses {
		switch {
		case response.Error == nil:
			answers[i] = &answer{done: true, before: unsaid, after: unsaid}
		case response.Error.Code == "ConditionalCheckFailed" || response.Error.Code == "DuplicateItem":
			answers[i] = &answer{failed: []bool{true}, items: []int64{unsaid}}
			if response.Error.Item != nil {
				answers[i].items[0] = response.Error.Item.value()
			}
		case response.Error.Code == "InternalServerError":
			answers[i] = &answer{unknown: true}
		case passingReason(response.Error.Code):
		default:
			panic("unexpected code: " + response.Error.Code)
		}
	}
	return answers, err
}

func sorted(registers []int) []int {
	sort.Ints(registers)
	return registers
}
