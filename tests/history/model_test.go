package main

import (
	"encoding/hex"
	"math/rand"
	"testing"
	"time"

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
	done    = answer{done: true, before: unsaid, after: unsaid}
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
		at(0, 1, 0, put(0, 7), answer{done: true, before: absent, after: 7}), at(2, 3, 1, read(0), found(7))}},
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
	{"an old image that was not there", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, put(0, 8), answer{done: true, before: 6, after: unsaid})}},
	{"a new image that was not made", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, call{actions: []action{{kind: actAdd, value: 1}}}, answer{done: true, before: unsaid, after: 9})}},
	{"the index is behind", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 1, call{index: true, table: 0, value: 7}, answer{})}},
	{"the index is as the table", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 1, call{index: true, table: 0, value: 7}, answer{found: 1})}},
	{"the index has what was deleted", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, call{actions: []action{{kind: actDelete}}}, done),
		at(4, 5, 1, call{index: true, table: 0, value: 7}, answer{found: 1})}},
	{"a batch in two orders", true, []porcupine.Operation{ // each of its elements is for itself
		at(0, 9, 0, put(0, 1), done), at(0, 9, 0, put(1, 1), done),
		at(1, 2, 1, read(0, 1), found(1, absent)), at(3, 4, 1, read(0, 1), found(1, 1))}},
	{"an unknown write happened", true, []porcupine.Operation{
		at(0, never, 0, put(0, 1), unknown), at(2, 3, 1, read(0), found(absent)), at(4, 5, 1, read(0), found(1))}},
	{"an unknown write did not happen", true, []porcupine.Operation{
		at(0, never, 0, put(0, 1), unknown), at(2, 3, 1, read(0), found(absent))}},
	{"an unknown increment happened twice", false, []porcupine.Operation{
		at(0, never, 0, call{actions: []action{{kind: actAdd, value: 1}}}, unknown), at(2, 3, 1, read(0), found(2))}},
}

func TestTheModelTellsRightFromWrong(t *testing.T) {
	for _, h := range examples {
		if porcupine.CheckOperations(model, ended(h.calls)) != h.right {
			t.Errorf("%s: right should be %v", h.name, h.right)
		}
	}
}

// A history as it could be recorded: three clients in turn, some of them at once, all of it true.
func trueHistory(dice *rand.Rand, calls int) (history []porcupine.Operation) {
	s := initialState()
	for i := 0; i < calls; i++ {
		register := dice.Intn(registers)
		c, a := read(register), found(s.values[register])
		switch dice.Intn(4) {
		case 0:
			c = put(register, int64(1000+i))
			a = answer{done: true, before: s.values[register], after: unsaid}
			c.actions[0].apply(&s)
		case 1:
			c = call{actions: []action{{kind: actSet, register: register, value: int64(1000 + i), cond: condEquals, expected: s.values[register]}, {kind: actDelete, register: (register + 1) % registers}}}
			a = done
			for _, one := range c.actions {
				one.apply(&s)
			}
		case 2:
			c = call{actions: []action{{kind: actDelete, register: register, cond: condEquals, expected: 5}}}
			a = answer{failed: []bool{true}, items: []int64{s.values[register]}}
		}
		begin := int64(10 * i)
		history = append(history, at(begin-int64(dice.Intn(9)), begin+1+int64(dice.Intn(9)), i%3, c, a))
	}
	return history
}

// mutated: one answer is another than it was. Each of these would be a broken promise of the server.
func mutated(history []porcupine.Operation, dice *rand.Rand) (changed []porcupine.Operation, what string) {
	changed = append(changed, history...)
	for {
		i := dice.Intn(len(changed))
		for j := range changed { // nothing goes on at once, so there is no other explanation
			changed[j].Call, changed[j].Return = int64(10*j), int64(10*j+1)
		}
		o := &changed[i]
		c, a := o.Input.(call), o.Output.(answer)
		switch {
		case c.reads != nil && dice.Intn(2) == 0: // as if a write had been lost, or had come from nowhere
			o.Output = found(int64(999))
			return changed, "a read of what was never written"
		case c.reads != nil:
			if a.values[0] == absent {
				continue
			}
			o.Output = found(absent)
			return changed, "an item that is gone for one read"
		case a.failed != nil:
			o.Output = done
			return changed, "a refused write told as done"
		case len(c.actions) == 1:
			o.Output = answer{done: true, before: 999, after: unsaid}
			return changed, "a wrong old image"
		default:
			o.Output = answer{failed: []bool{true, false}, items: []int64{unsaid, unsaid}}
			return changed, "a done transaction told as refused"
		}
	}
}

func TestEveryMutationOfATrueHistoryIsRefused(t *testing.T) {
	for seed := int64(0); seed < 300; seed++ {
		dice := rand.New(rand.NewSource(seed))
		history := trueHistory(dice, 60)
		if !porcupine.CheckOperations(model, ended(history)) {
			t.Fatalf("seed %d: a true history is refused", seed)
		}
		if checkApart(ended(history)) != porcupine.Ok {
			t.Fatalf("seed %d: a true history is refused register by register", seed)
		}
		if wrong, what := mutated(history, dice); porcupine.CheckOperations(model, ended(wrong)) {
			t.Errorf("seed %d: not found: %s", seed, what)
		} else if what != "a done transaction told as refused" && what != "a refused write told as done" && checkApart(ended(wrong)) == porcupine.Ok {
			t.Errorf("seed %d: not found register by register: %s", seed, what)
		}
	}
}

func streamOf(shards ...[]record) map[string]*followed {
	all := map[string]*followed{}
	for i, records := range shards {
		all[string(rune('a'+i))] = &followed{records: records}
	}
	return all
}

func rec(number, event string, old, new int64) record {
	return record{number, event, item{"pk": {"S": "h1-0"}}, old, new}
}

func TestStreamsAreComparedWithWhatWasSeenAndWritten(t *testing.T) {
	history := map[int][]porcupine.Operation{1: {at(0, 1, 0, put(0, 7), done), at(2, 3, 0, put(0, 8), done)}}
	first, second := rec("9", "INSERT", absent, 7), rec("10", "MODIFY", 7, 8)
	for _, c := range []struct {
		name      string
		live, all map[string]*followed
		final     int64
		right     bool
	}{
		{"as it was", streamOf([]record{first}), streamOf([]record{first, second}), 8, true},
		{"over two shards", streamOf([]record{first}, nil), streamOf([]record{first}, []record{second}), 8, true},
		{"what was seen is gone", streamOf([]record{first, second}), streamOf([]record{first}), 7, false},
		{"what was seen is another", streamOf([]record{rec("9", "INSERT", absent, 6)}), streamOf([]record{first, second}), 8, false},
		{"a shard is gone", streamOf(nil, []record{first}), streamOf([]record{first, second}), 8, false},
		{"numbers fall", streamOf(nil), streamOf([]record{second, first}), 8, false},
		{"a number twice", streamOf(nil, nil), streamOf([]record{first}, []record{rec("9", "MODIFY", 7, 8)}), 8, false},
		{"a gap", streamOf(nil), streamOf([]record{first, rec("10", "MODIFY", 6, 8)}), 8, false},
		{"the last one is missing", streamOf(nil), streamOf([]record{first}), 8, false},
		{"a write is missing", streamOf(nil), streamOf([]record{rec("9", "INSERT", absent, 8)}), 8, false},
		{"a record without a change", streamOf(nil), streamOf([]record{first, rec("10", "MODIFY", 7, 7), rec("11", "MODIFY", 7, 8)}), 8, false},
	} {
		err := compareStreams(c.live, c.all, history, func(int, int) (int64, error) { return c.final, nil })
		if (err == nil) != c.right {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTroublesFitTheDisk(t *testing.T) {
	for _, one := range allTroubles {
		ordered := one.name == "torn" || one.name == "disk"
		if powered, plain := one.fits(true, false), one.fits(false, false); powered != (one.name != "full" && !ordered) || plain != (one.name != "power" && !ordered) {
			t.Errorf("%s: %v with a disk that loses power, %v without", one.name, powered, plain)
		}
		if ordered && !(one.fits(false, true) && one.fits(true, true)) {
			t.Errorf("%s does not fit a disk that fails", one.name)
		}
	}
}

func cachedRead(register int) call { return call{reads: []int{register}, cached: true} }

func pageRead(register int) call { return call{reads: []int{register}, cached: true, page: true} }

func through(node int64, c call) call {
	c.node = node
	return c
}

// What reads from the caches of the DAX node may tell, and what not.
var cachedExamples = []struct {
	name  string
	right bool
	calls []porcupine.Operation
}{
	{"a write past the node is not noticed", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, put(0, 8), done), at(4, 5, 1, cachedRead(0), found(7))}},
	{"nor is what was before it forgotten", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 1, cachedRead(0), found(7)), at(4, 5, 1, cachedRead(0), found(absent))}},
	{"a write through the node is", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, through(1, put(0, 8)), done), at(4, 5, 1, cachedRead(0), found(7))}},
	{"by reads that begin later", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 5, 0, through(1, put(0, 8)), done), at(4, 7, 1, cachedRead(0), found(7))}},
	{"a deletion through the node, too", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, through(1, call{actions: []action{{kind: actDelete}}}), done),
		at(4, 5, 1, cachedRead(0), found(7))}},
	{"of a transaction each item", false, []porcupine.Operation{
		at(0, 1, 0, both01, done), at(2, 3, 0, through(1, call{actions: []action{{kind: actDelete, register: 0}, {kind: actSet, register: 1, value: 9}}}), done),
		at(4, 5, 1, cachedRead(0), found(absent)), at(4, 5, 2, cachedRead(1), found(1))}},
	{"but not one that it only looks at", true, []porcupine.Operation{
		at(0, 1, 0, both01, done), at(2, 3, 0, call{actions: []action{{kind: actSet, register: 0, value: 9}}}, done),
		at(4, 5, 0, through(1, call{actions: []action{{kind: actCheck, register: 0, cond: condExists}, {kind: actSet, register: 1, value: 9}}}), done),
		at(6, 7, 1, cachedRead(0), found(1))}},
	{"a refused write through the node changes nothing", true, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 0, put(0, 8), done),
		at(4, 5, 0, through(1, call{actions: []action{{kind: actPut, value: 9, cond: condAbsent}}}), answer{failed: []bool{true}, items: []int64{unsaid}}),
		at(6, 7, 1, cachedRead(0), found(7))}},
	{"and is not told", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done),
		at(4, 5, 0, through(1, call{actions: []action{{kind: actPut, value: 9, cond: condAbsent}}}), answer{failed: []bool{true}, items: []int64{unsaid}}),
		at(6, 7, 1, cachedRead(0), found(9))}},
	{"the newest of two through the node stays", false, []porcupine.Operation{
		at(0, 5, 0, through(1, put(0, 7)), answer{done: true, before: absent, after: unsaid}),
		at(1, 6, 1, through(101, put(0, 8)), answer{done: true, before: 7, after: unsaid}), at(7, 8, 2, cachedRead(0), found(7))}},
	{"and what came past it later may be told or not", true, []porcupine.Operation{
		at(0, 1, 0, through(1, put(0, 7)), done), at(2, 3, 0, put(0, 8), done),
		at(4, 5, 1, cachedRead(0), found(8)), at(4, 5, 2, cachedRead(0), found(7))}},
	{"an unknown write that is told has happened", false, []porcupine.Operation{
		at(0, never, 0, through(1, put(0, 7)), unknown), at(2, 3, 1, cachedRead(0), found(7)), at(4, 5, 1, read(0), found(absent))}},
	{"what was never written is not told", false, []porcupine.Operation{
		at(0, 1, 0, put(0, 7), done), at(2, 3, 1, cachedRead(0), found(6))}},
	{"nor what is written later", false, []porcupine.Operation{
		at(0, 1, 1, cachedRead(0), found(7)), at(2, 3, 0, put(0, 7), done)}},
	{"pages notice no writes", true, []porcupine.Operation{
		at(0, 1, 0, put(5, 7), done), at(2, 3, 0, through(1, put(5, 8)), done), at(4, 5, 1, pageRead(5), found(7))}},
	{"but make nothing up", false, []porcupine.Operation{
		at(0, 1, 0, put(5, 7), done), at(2, 3, 0, through(1, put(5, 8)), done), at(4, 5, 1, pageRead(5), found(9))}},
}

func TestReadsFromTheCacheAreToldRightFromWrong(t *testing.T) {
	for _, h := range cachedExamples {
		history := ended(h.calls)
		if porcupine.CheckOperations(model, strict(history)) != true {
			t.Errorf("%s: without those reads it should be right", h.name)
		}
		if result, _, _ := checkCached(history, time.Minute); (result == porcupine.Ok) != h.right {
			t.Errorf("%s: right should be %v", h.name, h.right)
		}
	}
}

// untrue: what a read may not tell any more since the last write through the node.
type untrue struct {
	read  int
	value int64
}

// A true history with a node that is as stale as it may be: it tells, at random, any value since the last write through it.
func cachedHistory(dice *rand.Rand, calls int) (history []porcupine.Operation, before []untrue) {
	s, may := initialState(), map[int][]int64{}
	gone := map[int]int64{}
	for r := 0; r < registers; r++ {
		may[r], gone[r] = []int64{absent}, unsaid
	}
	for i := 0; i < calls; i++ {
		r, value, begin := dice.Intn(registers), int64(1000+i), int64(10*i)
		c, a := cachedRead(r), found(may[r][dice.Intn(len(may[r]))])
		switch dice.Intn(5) {
		case 0, 1:
			c, a = put(r, value), done
			s.values[r], may[r] = value, append(may[r], value)
		case 2:
			c, a = through(int64(i+1), put(r, value)), done
			gone[r] = s.values[r]
			s.values[r], may[r] = value, []int64{value}
		default:
			if gone[r] != unsaid {
				before = append(before, untrue{i, gone[r]})
			}
		}
		history = append(history, at(begin, begin+1, i%3, c, a))
	}
	return history, before
}

func TestANodeThatForgetsAWriteThroughItIsNoticed(t *testing.T) {
	changed := 0
	for seed := int64(0); seed < 300; seed++ {
		history, before := cachedHistory(rand.New(rand.NewSource(seed)), 80)
		if result, r, _ := checkCached(ended(history), time.Minute); result != porcupine.Ok {
			t.Fatalf("seed %d: a true history is refused for r%d", seed, r)
		}
		if len(before) > 0 {
			one := before[int(seed)%len(before)]
			history[one.read].Output = found(one.value)
			changed++
		}
		if result, _, _ := checkCached(ended(history), time.Minute); len(before) > 0 && result != porcupine.Illegal {
			t.Errorf("seed %d: not found: a value from before an acknowledged write", seed)
		}
	}
	if changed < 250 {
		t.Errorf("only %d histories could be changed", changed)
	}
}

func TestLexDecimal(t *testing.T) {
	for digit, want := range map[int]string{4: "c1670000", 5: "c1800000"} {
		if got := hex.EncodeToString(lexDecimal(digit)); got != want {
			t.Errorf("%d: %s", digit, got)
		}
	}
}
