package main

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

func at(begin, end int64, client int, c call, a answer) porcupine.Operation {
	return porcupine.Operation{ClientId: client, Input: c, Call: begin, Output: a, Return: end}
}

func put(register int, value int64) call {
	return call{actions: []action{{kind: actPut, register: register, value: value}}}
}

func read(registers ...int) call { return call{reads: registers} }

func found(values ...int64) answer { return answer{values: values} }

var (
	done    = answer{done: true}
	unknown = answer{unknown: true}
	both01  = call{actions: []action{{kind: actPut, register: 0, value: 1}, {kind: actPut, register: 1, value: 1}}}
	never   = int64(1) << 62
)

// What must be told apart: each history, and whether it is right.
var examples = []struct {
	name  string
	right bool
	calls []porcupine.Operation
}{
	{"a write is read", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), answer{done: true, values: []int64{absent}}), at(2, 3, 1, read(0), found(7))}},
	{"a write that ended is not seen", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 1, read(0), found(absent))}},
	{"a write that runs may be seen or not", true, []porcupine.Operation{
		at(0, 9, 0, put(0, 7), done), at(1, 2, 1, read(0), found(absent)), at(3, 4, 1, read(0), found(7))}},
	{"what was seen goes away", false, []porcupine.Operation{
		at(0, 9, 0, put(0, 7), done), at(1, 2, 1, read(0), found(7)), at(3, 4, 1, read(0), found(absent))}},
	{"half a transaction is seen", false, []porcupine.Operation{
		at(0, 9, 0, both01, done), at(1, 2, 1, read(0, 1), found(1, absent))}},
	{"half a transaction is seen by single reads", false, []porcupine.Operation{
		at(0, 9, 0, both01, done), at(1, 2, 1, read(0), found(1)), at(3, 4, 1, read(1), found(absent))}},
	{"two increments from the same value", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 0), done),
		at(2, 9, 0, call{actions: []action{{kind: actPut, value: 1, cond: condEquals, expected: 0}}}, done),
		at(2, 9, 1, call{actions: []action{{kind: actPut, value: 2, cond: condEquals, expected: 0}}}, done)}},
	{"write skew", false, []porcupine.Operation{
		at(0, 1, 0, both01, done),
		at(2, 9, 0, call{actions: []action{{kind: actCheck, register: 0, cond: condEquals, expected: 1}, {kind: actDelete, register: 1}}}, done),
		at(2, 9, 1, call{actions: []action{{kind: actCheck, register: 1, cond: condEquals, expected: 1}, {kind: actDelete, register: 0}}}, done)}},
	{"refused for a reason that was not there", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 1), done),
		at(2, 3, 0, call{actions: []action{{kind: actPut, value: 2, cond: condEquals, expected: 1}}},
			answer{failed: []bool{true}, items: []int64{1}})}},
	{"refused, and done all the same", false, []porcupine.Operation{
		at(0, 1, 0, call{actions: []action{{kind: actPut, value: 2, cond: condEquals, expected: 1}}},
			answer{failed: []bool{true}, items: []int64{absent}}),
		at(2, 3, 0, read(0), found(2))}},
	{"refused by a transaction, and not done", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 1), answer{conflicts: []bool{true}}), at(2, 3, 1, read(0), found(absent))}},
	{"refused by a transaction, and done all the same", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 1), answer{conflicts: []bool{true}}), at(2, 3, 1, read(0), found(1))}},
	{"refused by a transaction, and by a condition that held", false, []porcupine.Operation{
		at(0, 1, 0, call{actions: []action{{kind: actPut, value: 2}, {kind: actCheck, register: 1, cond: condAbsent}}},
			answer{conflicts: []bool{true, false}, failed: []bool{false, true}, items: []int64{0, absent}})}},
	{"an unknown write happened", true, []porcupine.Operation{
		at(0, never, 0, put(0, 1), unknown), at(2, 3, 1, read(0), found(absent)), at(4, 5, 1, read(0), found(1))}},
	{"an unknown write did not happen", true, []porcupine.Operation{
		at(0, never, 0, put(0, 1), unknown), at(2, 3, 1, read(0), found(absent))}},
	{"an unknown increment happened twice", false, []porcupine.Operation{
		at(0, never, 0, call{actions: []action{{kind: actAdd, value: 1}}}, unknown), at(2, 3, 1, read(0), found(2))}},
}

func TestTheModelTellsRightFromWrong(t *testing.T) {
	for _, h := range examples {
		if porcupine.CheckOperations(model, h.calls) != h.right {
			t.Errorf("%s: right should be %v", h.name, h.right)
		}
	}
}
