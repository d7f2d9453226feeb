// History records what concurrent clients see of a server and checks it with porcupine.
//
// Clients read and write a handful of items, by single operations and by transactions, conditional or not; every call is
// noted with its begin, its end and its answer. A history is right when there is one order of all calls, in agreement with
// their real times, in which each answer is what the model says: strict serializability. The server may be killed in the
// middle: calls without an answer may have happened or not, transactions with a token are asked again until they are
// answered and must have happened once.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	binary     = flag.String("server", "", "the server's program; it is started here, and killed when asked for")
	endpoint   = flag.String("endpoint", "", "instead: a server that runs; it is not killed")
	data       = flag.String("data", "", "the data directory of -server")
	histories  = flag.Int("histories", 30, "how many")
	clients    = flag.Int("clients", 8, "at once")
	operations = flag.Int("operations", 40, "of each client in one history")
	kills      = flag.Float64("kills", 1.0/3, "share of histories in which the server is killed")
	seed       = flag.Int64("seed", time.Now().UnixNano(), "of all random choices")
	patience   = flag.Duration("patience", time.Minute, "for checking one history")
)

var started = time.Now()

func now() int64 { return int64(time.Since(started)) }

// A worker is one client with its own dice and what it saw last of each register.
type worker struct {
	*client
	id        int
	dice      *rand.Rand
	seen      state
	next      int64
	tokens    int
	done      []porcupine.Operation
	unknown   int
	repeats   int
	committed int
	cancelled int
	conflicts int
}

func (w *worker) fresh() int64 {
	w.next++
	return w.next*1000 + int64(w.id)
}

func (w *worker) someAction(register int, transaction bool) action {
	a := action{register: register, value: w.fresh()}
	switch dice := w.dice.Intn(10); {
	case dice < 4:
		a.kind = actPut
	case dice < 7:
		a.kind, a.value = actAdd, 1
	case dice < 8 || !transaction:
		a.kind = actDelete
	default:
		a.kind = actCheck
	}
	switch dice := w.dice.Intn(10); {
	case dice < 1 && a.kind != actCheck, dice < 4 && !transaction:
	case dice < 5 && a.kind != actCheck:
		a.cond = condAbsent
	default:
		a.cond, a.expected = condEquals, w.seen[register]
	}
	return a
}

func (w *worker) someRegisters(least int) []int {
	return w.dice.Perm(registers)[:least+w.dice.Intn(registers-least+1)]
}

func (w *worker) choose() call {
	switch dice := w.dice.Intn(10); {
	case dice < 2:
		return call{reads: []int{w.dice.Intn(registers)}}
	case dice < 5:
		return call{reads: w.someRegisters(2)}
	case dice < 7:
		return call{actions: []action{w.someAction(w.dice.Intn(registers), false)}}
	}
	var c call
	for _, register := range w.someRegisters(2) {
		c.actions = append(c.actions, w.someAction(register, true))
	}
	return c
}

func (w *worker) perform(c call, token string) (answer, error) {
	switch {
	case len(c.reads) == 1:
		return w.get(c.reads[0])
	case c.reads != nil:
		return w.transactGet(c.reads)
	case len(c.actions) == 1:
		return w.write(c.actions[0])
	default:
		return w.transactWrite(c.actions, token)
	}
}

// ask makes one call and notes it. A call that nobody heard is made again, and so is, as if it were still the same one, a
// transaction with a token that was not answered.
func (w *worker) ask(c call) {
	token := ""
	if len(c.actions) > 1 && w.dice.Intn(3) > 0 {
		w.tokens++
		token = fmt.Sprintf("h%d-c%d-%d-%d", w.history, w.id, w.tokens, *seed%1000000)
	}
	begin := now()
	answered, err := w.perform(c, token)
	for tries := 0; err == errNotSent || (err != nil && token != "" && tries < 1000); tries++ {
		if err != errNotSent {
			w.repeats++
		} else {
			time.Sleep(2 * time.Millisecond)
		}
		answered, err = w.perform(c, token)
	}
	if err == nil && token != "" && answered.done && w.dice.Intn(4) == 0 {
		w.repeats++
		answered, err = w.perform(c, token) // done already: nothing may happen
		if err != nil {
			answered, err = answer{done: true}, nil
		}
	}
	end := now()
	if err != nil {
		answered, end = answer{unknown: true}, int64(1)<<62
		w.unknown++
	}
	w.done = append(w.done, porcupine.Operation{ClientId: w.id, Input: c, Call: begin, Output: answered, Return: end})
	w.learn(c, answered)
}

func (w *worker) learn(c call, a answer) {
	switch {
	case a.unknown:
	case c.reads != nil:
		for i, register := range c.reads {
			w.seen[register] = a.values[i]
		}
	case a.done:
		w.committed++
		for _, action := range c.actions {
			action.apply(&w.seen)
		}
	case a.conflicts != nil && a.failed == nil:
		w.conflicts++
	default:
		if a.conflicts != nil {
			w.conflicts++
		} else {
			w.cancelled++
		}
		for i, action := range c.actions {
			if a.failed[i] {
				w.seen[action.register] = a.items[i]
			}
		}
	}
}

// record runs one history. The server, if given, is killed once in the middle of it.
func record(number int, address string, victim *server) ([]porcupine.Operation, *worker, error) {
	var group sync.WaitGroup
	var failed error
	workers := make([]*worker, *clients)
	for i := range workers {
		w := &worker{client: newClient(address, number), id: i, dice: rand.New(rand.NewSource(*seed + int64(number)*1000 + int64(i))), seen: initialState()}
		workers[i] = w
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < *operations; n++ {
				w.ask(w.choose())
			}
		}()
	}
	if victim != nil {
		dice := rand.New(rand.NewSource(*seed + int64(number)))
		time.Sleep(time.Duration(dice.Intn(40000)) * time.Microsecond)
		failed = victim.killAndStart(time.Duration(dice.Intn(10)) * time.Millisecond)
	}
	group.Wait()
	sum := &worker{}
	var all []porcupine.Operation
	for _, w := range workers {
		w.http.CloseIdleConnections()
		all = append(all, w.done...)
		sum.unknown += w.unknown
		sum.repeats += w.repeats
		sum.committed += w.committed
		sum.cancelled += w.cancelled
		sum.conflicts += w.conflicts
	}
	return all, sum, failed
}

// check says whether the history is right; a wrong one is drawn into a file.
func check(number int, history []porcupine.Operation) porcupine.CheckResult {
	result, info := porcupine.CheckOperationsVerbose(model, history, *patience)
	if result != porcupine.Ok {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("history-%d-%d.html", os.Getpid(), number))
		if porcupine.VisualizePath(model, info, path) == nil {
			fmt.Printf("history %d: %s, drawn in %s\n", number, result, path)
		}
	}
	return result
}

func run() error {
	var mine *server
	var err error
	address := *endpoint
	if *binary != "" {
		if mine, err = startServer(*binary, *data); err != nil {
			return err
		}
		address = mine.endpoint
	}
	if err := createTables(address); err != nil {
		return err
	}
	dice := rand.New(rand.NewSource(*seed))
	results := map[porcupine.CheckResult]int{}
	total, killed, sum := 0, 0, &worker{}
	for number := 0; number < *histories; number++ {
		victim := mine
		if dice.Float64() >= *kills {
			victim = nil
		}
		if victim != nil {
			killed++
		}
		history, some, err := record(int(*seed%1000000)*10000+number, address, victim)
		if err != nil {
			return err
		}
		results[check(number, history)]++
		total += len(history)
		sum.unknown += some.unknown
		sum.repeats += some.repeats
		sum.committed += some.committed
		sum.cancelled += some.cancelled
		sum.conflicts += some.conflicts
	}
	fmt.Printf("seed %d: %d histories of %d clients, %d with a killed server; %d calls: %d writes done, %d refused, %d of them by a transaction, %d unknown, %d asked again\n",
		*seed, *histories, *clients, killed, total, sum.committed, sum.cancelled+sum.conflicts, sum.conflicts, sum.unknown, sum.repeats)
	fmt.Printf("%d right, %d wrong, %d undecided\n", results[porcupine.Ok], results[porcupine.Illegal], results[porcupine.Unknown])
	if mine != nil {
		if err := mine.stop(); err != nil {
			return fmt.Errorf("the server did not end well: %w", err)
		}
	}
	if results[porcupine.Ok] != *histories {
		return fmt.Errorf("not all histories are right")
	}
	return nil
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}
