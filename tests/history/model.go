package main

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Registers are items with one number each, some in one table, some in the other.
const registers = 5

// absent: there is no such item.
const absent int64 = -1 << 62

type actionKind int

const (
	actPut actionKind = iota
	actAdd
	actDelete
	actCheck // of transactions only
)

type conditionKind int

const (
	condNone conditionKind = iota
	condAbsent
	condEquals
)

// An action writes or checks one register.
type action struct {
	kind     actionKind
	register int
	value    int64 // of put and add
	cond     conditionKind
	expected int64
}

// A call is what one client asked the server for: reads of one moment, or writes that happen together. Single operations
// are calls with one element.
type call struct {
	reads   []int
	actions []action
}

// An answer is what came back. Unknown: the connection or the server broke, so it may have happened or not.
type answer struct {
	unknown bool
	done    bool    // a write was done; else it was refused by its conditions
	values  []int64 // reads: what they found; a single write: the register before
	failed  []bool  // refused: by action
	items   []int64 // refused: the registers of failed actions, as the server told them
	// refused, by action: a transaction that was running held the register, so nothing was looked at; nil: none
	conflicts []bool
}

type state [registers]int64

func initialState() state {
	var s state
	for i := range s {
		s[i] = absent
	}
	return s
}

func (a action) holds(s *state) bool {
	switch a.cond {
	case condAbsent:
		return s[a.register] == absent
	case condEquals:
		return s[a.register] == a.expected
	}
	return true
}

func (a action) apply(s *state) {
	r := &s[a.register]
	switch a.kind {
	case actPut:
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
		if !a.unknown && a.values[i] != s[register] {
			return false, s
		}
	}
	return true, s
}

func stepWrites(s state, c call, a answer) (bool, state) {
	next, holds := s, true
	for _, action := range c.actions {
		holds = holds && action.holds(&s)
	}
	if holds {
		for _, action := range c.actions {
			action.apply(&next)
		}
	}
	if a.unknown { // it ends after everything else, so it may as well have had no effect
		return true, next
	}
	if a.done != holds && a.conflicts == nil {
		return false, s
	}
	if a.done {
		return a.values == nil || a.values[0] == s[c.actions[0].register], next
	}
	for i, action := range c.actions {
		if a.conflicts != nil && a.conflicts[i] {
			continue
		}
		failed := !action.holds(&s)
		if failed != a.failed[i] || (failed && a.items[i] != s[action.register]) {
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
		if c.reads != nil {
			return both(stepReads(s.(state), c, output.(answer)))
		}
		return both(stepWrites(s.(state), c, output.(answer)))
	},
	Equal: func(a, b interface{}) bool { return a.(state) == b.(state) },
	Hash: func(s interface{}) uint64 {
		h := uint64(14695981039346656037)
		for _, v := range s.(state) {
			h = (h ^ uint64(v)) * 1099511628211
		}
		return h
	},
	DescribeOperation: func(input, output interface{}) string {
		return describe(input.(call)) + " -> " + output.(answer).String()
	},
	DescribeState: func(s interface{}) string {
		values := s.(state)
		return fmt.Sprint(describeValues(values[:]...))
	},
}

func both(ok bool, s state) (bool, interface{}) { return ok, s }

func describeValues(values ...int64) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
		if v == absent {
			texts[i] = "-"
		}
	}
	return texts
}

func describe(c call) string {
	if c.reads != nil {
		return fmt.Sprint("read ", c.reads)
	}
	var parts []string
	for _, a := range c.actions {
		text := fmt.Sprintf("%s r%d", [...]string{"put", "add", "delete", "check"}[a.kind], a.register)
		if a.kind == actPut || a.kind == actAdd {
			text += fmt.Sprint(" ", a.value)
		}
		if a.cond == condAbsent {
			text += " if absent"
		} else if a.cond == condEquals {
			text += fmt.Sprint(" if ", describeValues(a.expected)[0])
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func (a answer) String() string {
	switch {
	case a.unknown:
		return "?"
	case a.failed != nil:
		return fmt.Sprint("refused ", a.failed, " ", describeValues(a.items...))
	default:
		return fmt.Sprint(describeValues(a.values...))
	}
}
