package main

import (
	"errors"
	"fmt"
	"math/rand"
	"time"

	"github.com/anishathalye/porcupine"
)

const forever = int64(1) << 62

var started = time.Now()

func now() int64 { return int64(time.Since(started)) }

// A worker is one client with its own dice and what it saw last of each register.
type worker struct {
	*client
	dax       *daxClient
	id        int
	dice      *rand.Rand
	seen      state
	next      int64
	tokens    int
	nodes     int64 // writes through the DAX node
	done      []porcupine.Operation
	unknown   int
	repeats   int
	committed int
	cancelled int
}

// fresh is a value that nobody else writes in this generation of tables.
func (w *worker) fresh() int64 {
	w.next++
	return int64(w.history%10000)*10000000 + w.next*100 + int64(w.id)
}

func (w *worker) someAction(register int, transaction bool) action {
	a := action{register: register, value: w.fresh()}
	switch dice := w.dice.Intn(20); {
	case dice < 6:
		a.kind = actPut
	case dice < 9:
		a.kind = actSet
	case dice < 14:
		a.kind, a.value = actAdd, 1
	case dice < 17 || !transaction:
		a.kind = actDelete
	default:
		a.kind = actCheck
	}
	switch dice := w.dice.Intn(10); {
	case dice < 1 && a.kind != actCheck, dice < 4 && !transaction:
	case dice < 5 && a.kind != actCheck:
		a.cond = condAbsent
	case dice < 6 && a.kind != actCheck:
		a.cond = condExists
	default:
		a.cond, a.expected = condEquals, w.seen.values[register]
	}
	return a
}

func (w *worker) someRegisters(least int) []int {
	return w.dice.Perm(registers)[:least+w.dice.Intn(registers-least+1)]
}

func (w *worker) someActions(transaction, statements bool) (actions []action) {
	for _, register := range w.someRegisters(2) {
		a := w.someAction(register, transaction)
		if statements {
			a = statable(a)
		}
		actions = append(actions, a)
	}
	return actions
}

// A result is one call of the model and what became of it. A batch has several.
type result struct {
	call   call
	answer answer
}

func apart(as call, reads []int, answers []answer) (results []result) {
	for i, register := range reads {
		a := answer{unknown: true}
		if i < len(answers) {
			a = answers[i]
		}
		c := as
		c.reads = []int{register}
		results = append(results, result{c, a})
	}
	return results
}

func one(c call, a answer) []result { return []result{{c, a}} }

// ask makes one call, of any kind, and notes it.
func (w *worker) ask() {
	register := w.dice.Intn(registers)
	if w.dice.Intn(3) == 0 {
		w.askDax(register)
		return
	}
	switch dice := w.dice.Intn(100); {
	case dice < 10:
		w.read("GetItem", func() ([]result, error) { return w.readOne("GetItem", register, w.get) })
	case dice < 14:
		w.read("SELECT", func() ([]result, error) { return w.readOne("SELECT", register, w.selectOne) })
	case dice < 22:
		w.readTogether("TransactGetItems", w.someRegisters(2), w.transactGet)
	case dice < 26:
		w.readTogether("SELECTs of a transaction", w.someRegisters(2), w.selectTransaction)
	case dice < 31:
		w.readApart("BatchGetItem", w.someRegisters(2)[:2], w.batchGet)
	case dice < 33:
		w.readApart("SELECTs of a batch", w.someRegisters(2)[:2], w.batchSelect)
	case dice < 38:
		last := []int{registers - 2, registers - 1}
		for i := 0; i < 4; i++ { // the later ones from the cache of pages, if nobody wrote meanwhile
			w.readApart("Query", last, func(reads []int) ([]answer, error) { return w.query(reads, register%2 == 0) })
		}
	case dice < 40:
		table := tableOf(register)
		w.readApart("Scan", []int{table * 2, table*2 + 1}, w.scan)
	case dice < 44:
		table, value := tableOf(register), w.seen.values[register]
		if value == absent {
			value = w.next*100 + int64(w.id)
		}
		w.read("Query of the index", func() ([]result, error) {
			a, err := w.where(table, value)
			return one(call{way: "Query of the index", index: true, table: table, value: value}, a), err
		})
	case dice < 60:
		a := w.someAction(register, false)
		returns := [...]string{"NONE", "ALL_OLD", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"}[w.dice.Intn(6)]
		w.write(call{way: "single", actions: []action{a}}, "", func(string) (answer, error) { return w.client.write(a, returns) })
	case dice < 67:
		a := statable(w.someAction(register, false))
		w.write(call{way: "statement", actions: []action{a}}, "", func(string) (answer, error) { return w.state(a) })
	case dice < 72:
		w.writeApart(call{way: "BatchWriteItem"}, w.somePutsAndDeletes(), w.batchWrite)
	case dice < 75:
		w.writeApart(call{way: "statements of a batch"}, w.someActions(false, true)[:2], w.batchState)
	case dice < 94:
		actions := w.someActions(true, false)
		w.write(call{way: "TransactWriteItems", actions: actions}, w.someToken(),
			func(token string) (answer, error) { return w.transactWrite(actions, token) })
	default:
		actions := w.someActions(true, true)
		w.write(call{way: "ExecuteTransaction", actions: actions}, w.someToken(),
			func(token string) (answer, error) { return w.transactStatements(actions, token) })
	}
}

// askDax: the same through the DAX node, and its caches.
func (w *worker) askDax(register int) {
	d, one, two, last := w.dax, []int{register}, w.someRegisters(2)[:2], []int{registers - 2, registers - 1}
	cached, page := call{way: "DAX, cached", cached: true}, call{way: "DAX, cached Query", cached: true, page: true}
	consistent := call{way: "DAX, consistent"}
	get := func(isConsistent bool) func([]int) ([]answer, error) {
		return func([]int) ([]answer, error) {
			a, err := d.get(register, isConsistent)
			return []answer{a}, err
		}
	}
	switch dice := w.dice.Intn(100); {
	case dice < 30:
		w.readApartAs(cached, one, get(false))
	case dice < 38:
		w.readApartAs(cached, two, func(reads []int) ([]answer, error) { return d.batchGet(reads, false) })
	case dice < 44:
		w.readApartAs(page, last, func(reads []int) ([]answer, error) { return d.query(reads, false) })
	case dice < 50:
		w.readApartAs(consistent, one, get(true))
	case dice < 54:
		w.readApartAs(consistent, two, func(reads []int) ([]answer, error) { return d.batchGet(reads, true) })
	case dice < 58:
		w.readApartAs(consistent, last, func(reads []int) ([]answer, error) { return d.query(reads, true) })
	case dice < 62:
		w.readTogether("DAX, TransactGetItems", w.someRegisters(2), d.transactGet)
	case dice < 84:
		a := w.someAction(register, false)
		returns := [...]string{"NONE", "NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"}[w.dice.Intn(6)]
		w.write(call{way: "DAX", actions: []action{a}, node: w.someNode()}, "", func(string) (answer, error) { return d.write(a, returns) })
	case dice < 90:
		w.writeApart(call{way: "DAX, BatchWriteItem", node: w.someNode()}, w.somePutsAndDeletes(), d.batchWrite)
	default:
		actions := w.someActions(true, false)
		w.write(call{way: "DAX, TransactWriteItems", actions: actions, node: w.someNode()}, w.someToken(),
			func(token string) (answer, error) { return d.transactWrite(actions, token) })
	}
}

func (w *worker) someNode() int64 {
	w.nodes++
	return w.nodes*100 + int64(w.id) + 1
}

func (w *worker) somePutsAndDeletes() (actions []action) {
	for _, r := range w.someRegisters(2)[:2] {
		a := action{kind: actPut, register: r, value: w.fresh()}
		if w.dice.Intn(3) == 0 {
			a.kind = actDelete
		}
		actions = append(actions, a)
	}
	return actions
}

func (w *worker) someToken() string {
	if w.dice.Intn(3) == 0 {
		return ""
	}
	w.tokens++
	return fmt.Sprintf("h%d-c%d-%d-%d", w.history, w.id, w.tokens, *seed%1000000)
}

func (w *worker) readOne(way string, register int, read func(int) (answer, error)) ([]result, error) {
	a, err := read(register)
	return one(call{way: way, reads: []int{register}}, a), err
}

func (w *worker) readTogether(way string, registers []int, read func([]int) (answer, error)) {
	w.read(way, func() ([]result, error) {
		a, err := read(registers)
		return one(call{way: way, reads: registers}, a), err
	})
}

func (w *worker) readApart(way string, registers []int, read func([]int) ([]answer, error)) {
	w.readApartAs(call{way: way}, registers, read)
}

func (w *worker) readApartAs(as call, registers []int, read func([]int) ([]answer, error)) {
	registers = sorted(append([]int{}, registers...))
	w.read(as.way, func() ([]result, error) {
		answers, err := read(registers)
		if err != nil {
			return nil, err
		}
		return apart(as, registers, answers), nil
	})
}

// longest: a server that is started again, or has been given its disk back, answers long before that.
var longest = 2 * time.Minute

func tooLong(begin int64) bool { return now()-begin > int64(longest) }

// pause before something that was not done is asked for again
func pause() { time.Sleep(2 * time.Millisecond) }

// read asks until it is answered: a read that was not answered tells nothing.
func (w *worker) read(way string, ask func() ([]result, error)) {
	for first, begin := now(), now(); !tooLong(first); begin = now() {
		results, err := ask()
		if err == nil {
			w.note(begin, now(), results)
			return
		}
		pause()
	}
	panic(way + " is not answered")
}

// write asks once, or, with a token, until it is answered: it must then have happened once. What was refused for a passing reason
// did not happen and is asked for again.
func (w *worker) write(c call, token string, ask func(string) (answer, error)) {
	begin, mayComeLate := now(), false
	for {
		from := now()
		a, err := ask(token)
		var broken errBroken
		switch {
		case err == nil && a.done && token != "" && w.dice.Intn(4) == 0:
			w.repeats++
			if again, err := ask(token); err == nil { // done already: nothing may happen
				a = again
			}
			w.note(begin, now(), one(c, a))
			w.look(c, a)
			return
		case err == nil:
			if mayComeLate && !a.done { // this time it was refused; an earlier one may have come through since
				w.note(from, now(), one(c, a))
				w.note(begin, forever, one(c, answer{unknown: true}))
			} else {
				w.note(begin, now(), one(c, a))
				w.look(c, a)
			}
			return
		case tooLong(begin):
			panic(c.way + " is not answered: " + err.Error())
		case err == errNotDone:
			pause()
		case errors.As(err, &broken) && token != "":
			pause()
			mayComeLate = mayComeLate || (broken.late && w.lateAnswers())
			w.repeats++
		default:
			w.note(begin, forever, one(c, answer{unknown: true}))
			rest()
			return
		}
	}
}

// look at once, often, whether a write through the DAX node is told by its caches: what is left to do behind the client's back is
// not done yet.
func (w *worker) look(c call, a answer) {
	if c.node == 0 || !a.done || w.dice.Intn(2) == 0 {
		return
	}
	register := c.actions[w.dice.Intn(len(c.actions))].register
	w.readApartAs(call{way: "DAX, cached", cached: true}, []int{register}, func([]int) ([]answer, error) {
		a, err := w.dax.get(register, false)
		return []answer{a}, err
	})
}

// rest after what is unknown: each such call multiplies what the checker has to try.
func rest() { time.Sleep(30 * time.Millisecond) }

// lateAnswers: a connection that broke without the server's death may leave a request that is still to come.
func (w *worker) lateAnswers() bool { return true }

func (w *worker) writeApart(as call, actions []action, ask func([]action) ([]*answer, error)) {
	begin := now()
	for len(actions) > 0 {
		answers, err := ask(actions)
		end := now()
		var again []action
		for i, a := range actions {
			c := as
			c.actions = []action{a}
			switch {
			case err == errNotDone:
				again = append(again, a)
			case err != nil:
				w.note(begin, forever, one(c, answer{unknown: true}))
			case answers[i] == nil:
				again = append(again, a)
			case answers[i].unknown:
				w.note(begin, forever, one(c, answer{unknown: true}))
			default:
				w.note(begin, end, one(c, *answers[i]))
			}
		}
		actions = again
		if len(actions) > 0 {
			pause()
		}
		if err != nil && err != errNotDone {
			rest()
		}
		if tooLong(begin) {
			panic(as.way + " is not answered")
		}
	}
}

func (w *worker) note(begin, end int64, results []result) {
	for _, r := range results {
		if r.answer.unknown {
			w.unknown++
		}
		w.done = append(w.done, porcupine.Operation{ClientId: w.id, Input: r.call, Call: begin, Output: r.answer, Return: end})
		w.learn(r.call, r.answer)
	}
}

func (w *worker) learn(c call, a answer) {
	switch {
	case a.unknown || c.index || c.cached:
	case c.reads != nil:
		for i, register := range c.reads {
			w.seen.values[register] = a.values[i]
		}
	case a.done:
		w.committed++
		for _, action := range c.actions {
			action.apply(&w.seen)
		}
	default:
		w.cancelled++
		for i, action := range c.actions {
			if a.failed[i] && a.items[i] != unsaid {
				w.seen.values[action.register] = a.items[i]
			}
		}
	}
}
