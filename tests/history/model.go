package main

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Registers are items with one number each: two in each table; those of the last table are one item collection.
const registers = 6

const (
	absent int64 = -1 << 62 // there is no such item
	unsaid int64 = -1 << 61 // the answer does not tell
)

type actionKind int

const (
	actPut actionKind = iota
	actSet
	actAdd
	actDelete
	actCheck // of transactions only
)

type conditionKind int

const (
	condNone conditionKind = iota
	condAbsent
	condExists
	condEquals
	condEqualsOrAbsent // of DELETE in PartiQL: what is not there is gone already
)

// An action writes or checks one register.
type action struct {
	kind     actionKind
	register int
	value    int64 // of put, set and add
	cond     conditionKind
	expected int64
}

// A call is what one client asked the server for: reads of one moment, writes that happen together, or where in the index of
// a table a value is. A batch is as many calls as it has elements.
type call struct {
	way     string // for people
	reads   []int
	actions []action
	index   bool
	table   int
	value   int64
	cached  bool  // reads: eventually consistent, through the DAX node; see cached.go
	page    bool  // and by Query
	node    int64 // writes: through the DAX node, each with its number; 0: past it
	// that write was acknowledged: of cached.go's own
	acknowledged int64
	over         bool // the end of the history: what is unknown and did not happen until then did not happen
}

// An answer is what came back. Unknown: the connection or the server broke, so it may have happened or not.
type answer struct {
	unknown bool
	done    bool    // a write was done; else it was refused by its conditions
	values  []int64 // reads: what they found
	before  int64   // a single write: the register before, or unsaid
	after   int64   // and then
	failed  []bool  // refused: by action
	items   []int64 // refused: the registers of failed actions, as the server told them, or unsaid
	found   uint    // of an index: the registers, as bits
}

type state struct {
	values [registers]int64
	over   bool
}

func initialState() state {
	var s state
	for i := range s.values {
		s.values[i] = absent
	}
	return s
}

func (a action) holds(s *state) bool {
	switch a.cond {
	case condAbsent:
		return s.values[a.register] == absent
	case condExists:
		return s.values[a.register] != absent
	case condEquals:
		return s.values[a.register] == a.expected
	case condEqualsOrAbsent:
		return s.values[a.register] == a.expected || s.values[a.register] == absent
	}
	return true
}

func (a action) apply(s *state) {
	r := &s.values[a.register]
	switch a.kind {
	case actPut, actSet:
		*r = a.value
	case actAdd:
		if *r == absent {
			*r = 0
		}
		*r += a.value
	case actDelete:
		*r = absent
	}
}

func stepReads(s state, c call, a answer) (bool, state) {
	for i, register := range c.reads {
		if !a.unknown && a.values[i] != s.values[register] {
			return false, s
		}
	}
	return true, s
}

func stepIndex(s state, c call, a answer) (bool, state) {
	found := uint(0)
	for register := range s.values {
		if tableOf(register) == c.table && s.values[register] == c.value {
			found |= 1 << register
		}
	}
	return a.unknown || found == a.found, s
}

func agrees(said, is int64) bool { return said == unsaid || said == is }

func stepWrites(s state, c call, a answer) (bool, state) {
	next, holds := s, true
	if s.over {
		return a.unknown, s
	}
	for _, action := range c.actions {
		holds = holds && action.holds(&s)
	}
	if holds {
		for _, action := range c.actions {
			action.apply(&next)
		}
	}
	if a.unknown { // to have no effect it can wait until all is over; that spares the checker most of its ways
		return next != s, next
	}
	if a.done != holds {
		return false, s
	}
	if a.done {
		r := c.actions[0].register
		return len(c.actions) > 1 || (agrees(a.before, s.values[r]) && agrees(a.after, next.values[r])), next
	}
	for i, action := range c.actions {
		failed := !action.holds(&s)
		if failed != a.failed[i] || (failed && !agrees(a.items[i], s.values[action.register])) {
			return false, s
		}
	}
	return true, s
}

// The whole system as one object: linearizable with respect to it means strict serializability of everything recorded.
var model = porcupine.Model{
	Init: func() interface{} { return initialState() },
	Step: func(s, input, output interface{}) (bool, interface{}) {
		c := input.(call)
		switch {
		case c.over:
			return both(true, state{values: s.(state).values, over: true})
		case c.index:
			return both(stepIndex(s.(state), c, output.(answer)))
		case c.reads != nil:
			return both(stepReads(s.(state), c, output.(answer)))
		}
		return both(stepWrites(s.(state), c, output.(answer)))
	},
	Equal: func(a, b interface{}) bool { return a.(state) == b.(state) },
	Hash: func(s interface{}) uint64 {
		h := uint64(14695981039346656037)
		for _, v := range s.(state).values {
			h = (h ^ uint64(v)) * 1099511628211
		}
		return h
	},
	DescribeOperation: func(input, output interface{}) string {
		return describe(input.(call)) + " -> " + output.(answer).String()
	},
	DescribeState: func(s interface{}) string {
		values := s.(state).values
		return fmt.Sprint(describeValues(values[:]...))
	},
}

func both(ok bool, s state) (bool, interface{}) { return ok, s }

func describeValues(values ...int64) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		switch v {
		case absent:
			texts[i] = "-"
		case unsaid:
			texts[i] = "not told"
		default:
			texts[i] = fmt.Sprint(v)
		}
	}
	return texts
}

func describe(c call) string {
	if c.over {
		return "the end"
	}
	if c.acknowledged != 0 {
		return fmt.Sprint("acknowledged: DAX write ", c.acknowledged)
	}
	if c.index {
		return fmt.Sprintf("%s: where is %d in table %d", c.way, c.value, c.table)
	}
	if c.reads != nil {
		return fmt.Sprint(c.way, ": read ", c.reads)
	}
	var parts []string
	for _, a := range c.actions {
		text := fmt.Sprintf("%s r%d", [...]string{"put", "set", "add", "delete", "check"}[a.kind], a.register)
		if a.kind == actPut || a.kind == actAdd || a.kind == actSet {
			text += fmt.Sprint(" ", a.value)
		}
		switch a.cond {
		case condAbsent:
			text += " if absent"
		case condExists:
			text += " if there"
		case condEquals:
			text += fmt.Sprint(" if ", describeValues(a.expected)[0])
		case condEqualsOrAbsent:
			text += fmt.Sprint(" if ", describeValues(a.expected)[0], " or absent")
		}
		parts = append(parts, text)
	}
	if c.node != 0 {
		return fmt.Sprintf("%s (DAX write %d): %s", c.way, c.node, strings.Join(parts, ", "))
	}
	return c.way + ": " + strings.Join(parts, ", ")
}

func (a answer) String() string {
	switch {
	case a.unknown:
		return "?"
	case a.failed != nil:
		return fmt.Sprint("refused ", a.failed, " ", describeValues(a.items...))
	case a.values != nil:
		return fmt.Sprint(describeValues(a.values...))
	case a.done:
		return fmt.Sprint("done, ", describeValues(a.before, a.after))
	default:
		return fmt.Sprintf("registers %b", a.found)
	}
}
