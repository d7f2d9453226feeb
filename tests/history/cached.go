package main

import (
	endian "encoding/binary"
	"fmt"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

// Eventually consistent reads through the DAX node that is built into the server. What they may tell is decided register by
// register, in one order of writes that the consistent answers allow, too (docs/DAX-CACHES.md has the promises):
//
//   - a value that the item had at some time up to the end of the read: nothing half done, refused, taken back or lost
//   - of a single item nothing older than a write through the node that was acknowledged before the read began. Pages of Query do not
//     notice writes, so they are without this
//   - of a coherent node, what the item is, once the change has passed: see converge()

// A nodeState is all that a read may tell of one register: pairs of a value and the number of the write through the node that
// made it (0: another); the last one is what the register is now.
type nodeState struct {
	pairs string
	over  bool
}

const pairBytes = 16

func pairOf(value, node int64) string {
	var b [pairBytes]byte
	endian.BigEndian.PutUint64(b[:], uint64(value))
	endian.BigEndian.PutUint64(b[8:], uint64(node))
	return string(b[:])
}

func (s nodeState) count() int { return len(s.pairs) / pairBytes }

func (s nodeState) pair(i int) (value, node int64) {
	b := []byte(s.pairs[i*pairBytes : (i+1)*pairBytes])
	return int64(endian.BigEndian.Uint64(b)), int64(endian.BigEndian.Uint64(b[8:]))
}

func (s nodeState) now() int64 {
	value, _ := s.pair(s.count() - 1)
	return value
}

// write: the register is another from now on. What is equal to what may be told is made the same, which spares the checker work:
// of values that no acknowledgement ends by itself the order does not matter, nor that one was there twice.
func (s nodeState) write(value, node int64) nodeState {
	pairs := make([]string, 0, s.count()+1)
	for i := 0; i < s.count(); i++ {
		if v, n := s.pair(i); n != 0 || v != value {
			pairs = append(pairs, s.pairs[i*pairBytes:(i+1)*pairBytes])
		}
	}
	for from := 0; from < len(pairs); from++ {
		to := from
		for to < len(pairs) && pairs[to][8:] == pairOf(0, 0)[8:] {
			to++
		}
		sort.Strings(pairs[from:to])
		if to > from {
			from = to
		}
	}
	all := ""
	for _, pair := range pairs {
		all += pair
	}
	return nodeState{pairs: all + pairOf(value, node), over: s.over}
}

// acknowledge: nothing from before that write is told any more.
func (s nodeState) acknowledge(node int64) nodeState {
	for i := s.count() - 1; i > 0; i-- {
		if _, n := s.pair(i); n == node {
			s.pairs = s.pairs[i*pairBytes:]
			break
		}
	}
	return s
}

func (s nodeState) told(value int64) bool {
	for i := 0; i < s.count(); i++ {
		if v, _ := s.pair(i); v == value {
			return true
		}
	}
	return false
}

func stepNode(s nodeState, c call, a answer, register int) (bool, nodeState) {
	switch {
	case c.over:
		s.over = true
		return true, s
	case c.acknowledged != 0:
		return true, s.acknowledge(c.acknowledged)
	case c.cached:
		return s.told(a.values[0]), s
	}
	all := initialState()
	all.values[register], all.over = s.now(), s.over
	switch {
	case c.index:
		ok, _ := stepIndex(all, c, a)
		return ok, s
	case c.reads != nil:
		ok, _ := stepReads(all, c, a)
		return ok, s
	}
	ok, next := stepWrites(all, c, a)
	if !ok || a.failed != nil || (next == all && c.node == 0) {
		return ok, s
	}
	if a.unknown {
		c.node = 0 // nobody waits for it
	}
	return true, s.write(next.values[register], c.node)
}

func nodeModel(register int) porcupine.Model {
	return porcupine.Model{
		Init: func() interface{} { return nodeState{pairs: pairOf(absent, 0)} },
		Step: func(s, input, output interface{}) (bool, interface{}) {
			ok, next := stepNode(s.(nodeState), input.(call), output.(answer), register)
			return ok, next
		},
		Equal:             func(a, b interface{}) bool { return a.(nodeState) == b.(nodeState) },
		DescribeOperation: model.DescribeOperation,
		DescribeState: func(s interface{}) string {
			var values []int64
			for i := 0; i < s.(nodeState).count(); i++ {
				v, _ := s.(nodeState).pair(i)
				values = append(values, v)
			}
			return fmt.Sprint(describeValues(values...))
		},
	}
}

// strict is a history without reads from the caches.
func strict(history []porcupine.Operation) (rest []porcupine.Operation) {
	for _, o := range history {
		if !o.Input.(call).cached {
			rest = append(rest, o)
		}
	}
	return rest
}

// nodeHistory is what a history tells of one register and the node's cache of items, or of pages. Each acknowledgement of a write
// through the node is an operation of its own, between the end of the write and all that begins later; so times are doubled.
func nodeHistory(history []porcupine.Operation, register int, pages bool) (part []porcupine.Operation, reads int) {
	for _, o := range project(history, register) {
		c, a := o.Input.(call), o.Output.(answer)
		if c.cached {
			if c.page != pages {
				continue
			}
			reads++
		}
		if pages || (c.actions != nil && c.actions[0].kind == actCheck) { // what is only looked at is not written
			c.node = 0
			o.Input = c
		}
		o.Call *= 2
		if o.Return != forever {
			o.Return *= 2
		}
		part = append(part, o)
		if c.node != 0 && a.done {
			part = append(part, porcupine.Operation{ClientId: o.ClientId, Input: call{acknowledged: c.node}, Call: o.Return + 1, Output: answer{}, Return: o.Return + 1})
		}
	}
	return part, reads
}

// checkCached decides about the reads from the caches; of a wrong history it tells the register and what it was.
func checkCached(history []porcupine.Operation, patience time.Duration) (result porcupine.CheckResult, register int, wrong []porcupine.Operation) {
	result = porcupine.Ok
	for register := 0; register < registers; register++ {
		for _, pages := range [...]bool{false, true} {
			part, reads := nodeHistory(history, register, pages)
			if reads == 0 {
				continue
			}
			switch porcupine.CheckOperationsTimeout(nodeModel(register), part, patience) {
			case porcupine.Illegal:
				return porcupine.Illegal, register, part
			case porcupine.Unknown:
				result = porcupine.Unknown
			}
		}
	}
	return result, 0, nil
}

// converge waits until a coherent node tells of every register what it is. Its entries do not end by time (server.go), so one that a
// change has not ended stays.
func converge(c *client, address string) error {
	d := &daxClient{client: c, address: address}
	defer d.close()
	defer c.http.CloseIdleConnections()
	for register := 0; register < registers; register++ {
		one, last := register, []int{registers - 2, registers - 1}
		err := same(fmt.Sprintf("GetItem of r%d", one),
			func() ([]answer, error) { a, err := c.get(one); return []answer{a}, err },
			func() ([]answer, error) { a, err := d.get(one, false); return []answer{a}, err })
		if err == nil && register == last[0] {
			err = same(fmt.Sprintf("Query of r%d and r%d", last[0], last[1]),
				func() ([]answer, error) { return c.query(last, true) },
				func() ([]answer, error) { return d.query(last, false) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// same asks the table and the node until they agree. Writes of which nobody knows may still come.
func same(what string, table, node func() ([]answer, error)) error {
	for begin := now(); ; pause() {
		is, err := table()
		told, failed := is, err
		if err == nil {
			told, failed = node()
		}
		if failed == nil && fmt.Sprint(is) == fmt.Sprint(told) {
			return nil
		}
		if tooLong(begin) {
			return fmt.Errorf("the coherent node answers %s with %v (%v), and it is %v", what, told, failed, is)
		}
	}
}
