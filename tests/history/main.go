// History records what concurrent clients see of a server and checks it with porcupine.
//
// Clients read and write a handful of items in every way there is: by single operations, batches, statements and transactions,
// conditional or not, over HTTP and DAX; every call is noted with its begin, its end and its answer. A history is right when
// there is one order of all calls, in agreement with their real times, in which each answer is what the model says: strict
// serializability. Meanwhile troubles come over the server (trouble.go): calls without an answer may have happened or not,
// transactions with a token are asked again until they are answered and must have happened once. Readers follow the streams of
// the tables all the while (follow.go): what they have been told must be there in the end, in the same order, and be the
// history of each item.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	binary     = flag.String("server", "", "the server's program; it is started here, and killed when asked for")
	data       = flag.String("data", "", "its data directory")
	histories  = flag.Int("histories", 30, "how many")
	clients    = flag.Int("clients", 5, "at once")
	operations = flag.Int("operations", 40, "of each client in one history")
	only       = flag.String("troubles", "", "these only, with commas; none: no trouble at all")
	powerTool  = flag.String("power", "", "tests/integration/power_tool.py: the disk loses its power, too")
	diskShim   = flag.String("disk", "", "tests/crash/disk_shim.c, built: the disk tears writes and fails, too")
	seed       = flag.Int64("seed", time.Now().UnixNano(), "of all random choices")
	patience   = flag.Duration("patience", 10*time.Second, "for checking one history")
	perTables  = flag.Int("generation", 20, "histories on the same tables; then their streams are read again and compared")
)

var (
	decidedApart    int // histories that were decided register by register
	cachedReads     int
	cachedUndecided int // histories whose reads from caches were not
)

// A run is what all histories have together.
type run struct {
	server  *server
	proxy   *proxy
	daxes   *proxy // the same for DAX
	dice    *rand.Rand
	chosen  []trouble
	by      map[string]*[3]int // trouble -> histories right, wrong, undecided
	results map[porcupine.CheckResult]int
	total   int
	sum     worker
}

// troublesFor a history: none for one in eight, else one to three, and of those that kill at most one.
func (r *run) troublesFor() (some []trouble) {
	if len(r.chosen) == 0 || r.dice.Intn(8) == 0 {
		return nil
	}
	kills := false
	for _, i := range r.dice.Perm(len(r.chosen)) {
		one := r.chosen[i]
		if one.kills && kills {
			continue
		}
		kills = kills || one.kills
		some = append(some, one)
		if len(some) == 3 || r.dice.Intn(2) == 0 {
			break
		}
	}
	return some
}

// record runs one history on the tables of a generation.
func (r *run) record(generation, number int, some []trouble) ([]porcupine.Operation, error) {
	var group, others sync.WaitGroup
	t := &troubles{server: r.server, proxies: []*proxy{r.proxy, r.daxes}, generation: generation, stop: make(chan struct{}), dice: rand.New(rand.NewSource(*seed + int64(number))),
		control: newClient(r.server.endpoint, generation, 0)}
	address, dax, count := r.server.endpoint, r.server.dax, *clients
	for _, one := range some {
		if one.name == "cut" {
			address, dax = "http://"+r.proxy.address(), r.daxes.address()
		}
		if one.name == "full" && count > 3 { // nobody knows of any write while the disk is full, and checking is exponential in those
			count = 3
		}
	}
	workers := make([]*worker, count)
	for i := range workers {
		w := &worker{client: newClient(address, generation, number), id: i, dice: rand.New(rand.NewSource(*seed + int64(number)*1000 + int64(i))), seen: initialState()}
		w.dax = &daxClient{client: w.client, address: dax}
		workers[i] = w
		group.Add(1)
		go func() {
			defer group.Done()
			defer r.server.guard()
			defer w.dax.close()
			for n := 0; n < *operations; n++ {
				w.ask()
			}
		}()
	}
	t.trouble(some, &others)
	group.Wait()
	close(t.stop)
	others.Wait()
	err := t.settle()
	if err == nil && r.server.caches.coherent {
		err = converge(newClient(r.server.endpoint, generation, number), r.server.dax)
	}
	t.control.http.CloseIdleConnections()
	var all []porcupine.Operation
	for _, w := range workers {
		w.http.CloseIdleConnections()
		all = append(all, w.done...)
		r.sum.unknown += w.unknown
		r.sum.repeats += w.repeats
		r.sum.committed += w.committed
		r.sum.cancelled += w.cancelled
	}
	r.total += len(all)
	return all, err
}

// ended adds the end, behind all that is known: see call.over.
func ended(history []porcupine.Operation) []porcupine.Operation {
	last := int64(0)
	for _, o := range history {
		for _, at := range [...]int64{o.Call, o.Return} {
			if at != forever && at > last {
				last = at
			}
		}
	}
	return append(history[:len(history):len(history)], porcupine.Operation{Input: call{over: true}, Call: last + 1, Output: answer{}, Return: last + 2})
}

// check says whether the history is right; a wrong one is drawn into a file.
func check(number int, some []trouble, history []porcupine.Operation) porcupine.CheckResult {
	history = ended(history)
	all := strict(history)
	cachedReads += len(history) - len(all)
	result, info := porcupine.CheckOperationsVerbose(model, all, *patience)
	if result == porcupine.Unknown {
		result = checkApart(all)
		decidedApart++
	}
	if result != porcupine.Ok {
		draw(fmt.Sprintf("history %d, with %s: %s", number, names(some), result), number, model, info)
		return result
	}
	cached, register, wrong := checkCached(history, *patience)
	if cached == porcupine.Illegal {
		_, info := porcupine.CheckOperationsVerbose(nodeModel(register), wrong, *patience)
		draw(fmt.Sprintf("history %d, with %s: r%d as the DAX node tells it: %s", number, names(some), register, cached), number, nodeModel(register), info)
		return cached
	}
	if cached == porcupine.Unknown {
		cachedUndecided++
	}
	return result
}

func draw(what string, number int, model porcupine.Model, info porcupine.LinearizationInfo) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("history-%d-%d.html", os.Getpid(), number))
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		path = err.Error()
	}
	fmt.Printf("%s, drawn in %s\n", what, path)
}

func names(some []trouble) string {
	var list []string
	for _, one := range some {
		list = append(list, one.name)
	}
	if list == nil {
		return "no trouble"
	}
	return strings.Join(list, ", ")
}

func (r *run) count(some []trouble, result porcupine.CheckResult) {
	r.results[result]++
	list := some
	if len(list) == 0 {
		list = []trouble{{name: "none"}}
	}
	for _, one := range list {
		if r.by[one.name] == nil {
			r.by[one.name] = new([3]int)
		}
		switch result {
		case porcupine.Ok:
			r.by[one.name][0]++
		case porcupine.Illegal:
			r.by[one.name][1]++
		default:
			r.by[one.name][2]++
		}
	}
}

func (r *run) all() error {
	var follow *followers
	for number := 0; number < *histories; number++ {
		generation := number / *perTables
		if number%*perTables == 0 {
			r.server.say("the start of another generation")
			if err := r.renew(generation); err != nil {
				return err
			}
			if err := createTables(r.server.endpoint, generation); err != nil {
				return err
			}
			follow = startFollowers(r.server.endpoint, generation)
		}
		some := r.troublesFor()
		r.server.say(fmt.Sprintf("history %d, with %s", number, names(some)))
		history, err := r.record(generation, number, some)
		if err != nil {
			return fmt.Errorf("history %d, with %s: %w", number, names(some), err)
		}
		follow.add(number, history)
		r.count(some, check(number, some, history))
		if number%50 == 49 {
			fmt.Fprintf(os.Stderr, "%d histories, %d of them right\n", number+1, r.results[porcupine.Ok])
		}
		if number == *histories-1 || (number+1)%*perTables == 0 {
			if err := follow.compare(); err != nil {
				return fmt.Errorf("streams of histories %d to %d: %w", generation**perTables, number, err)
			}
			if err := deleteTables(r.server.endpoint, generation); err != nil {
				return err
			}
		}
	}
	return nil
}

// cachesOf a generation: they are coherent and keep all, or follow the rules of DAX and keep for ever, hardly, or as usual.
func (r *run) cachesOf(generation int) caches {
	if generation%2 == 0 {
		return caches{coherent: true}
	}
	return caches{itemMs: [...]int{0, 20, 300000}[r.dice.Intn(3)]}
}

// renew: the generation gets a server with caches of its own.
func (r *run) renew(generation int) error {
	if generation == 0 { // it has just been started so
		return nil
	}
	return r.server.restart(r.cachesOf(generation))
}

func (r *run) report() {
	fmt.Printf("seed %d: %d histories of %d clients; the server was started %d times; %d calls: %d writes done, %d refused, %d unknown, %d asked again\n",
		*seed, *histories, *clients, r.server.starts, r.total, r.sum.committed, r.sum.cancelled, r.sum.unknown, r.sum.repeats)
	fmt.Printf("%d records of streams, %d of them seen as they came; %d reads from DAX's caches, those of %d histories undecided\n",
		streamRecords, streamRecordsSeen, cachedReads, cachedUndecided)
	for _, one := range append([]trouble{{name: "none"}}, allTroubles...) {
		if n := r.by[one.name]; n != nil {
			fmt.Printf("  %-9s %5d right %3d wrong %3d undecided\n", one.name, n[0], n[1], n[2])
		}
	}
	fmt.Printf("%d histories right, %d wrong, %d undecided; %d were decided register by register\n",
		r.results[porcupine.Ok], r.results[porcupine.Illegal], r.results[porcupine.Unknown], decidedApart)
}

func begin() error {
	r := &run{dice: rand.New(rand.NewSource(*seed)), by: map[string]*[3]int{}, results: map[porcupine.CheckResult]int{}}
	var powered *power
	var faulty *disk
	var err error
	if *powerTool != "" {
		powered = &power{tool: *powerTool, folder: *data + ".power", data: *data}
	}
	if *diskShim != "" {
		if faulty, err = newDisk(*diskShim, *data); err != nil {
			return err
		}
	}
	for _, one := range allTroubles {
		if (*only == "" || strings.Contains(","+*only+",", ","+one.name+",")) && one.fits(powered != nil, faulty != nil) {
			r.chosen = append(r.chosen, one)
		}
	}
	if *only != "" && *only != "none" && len(r.chosen) == 0 {
		return fmt.Errorf("no trouble of %s can be had here", *only)
	}
	if r.server, err = startServer(*binary, *data, powered, faulty, r.cachesOf(0)); err != nil {
		return err
	}
	defer r.server.kill()
	defer r.server.guard()
	if r.proxy, err = startProxy(func() string { return r.server.listen }); err != nil {
		return err
	}
	defer r.proxy.close()
	if r.daxes, err = startProxy(func() string { return r.server.dax }); err != nil {
		return err
	}
	defer r.daxes.close()
	if err := r.all(); err != nil {
		return err
	}
	r.report()
	r.server.say("the end")
	if err := r.server.stop(); err != nil {
		return fmt.Errorf("the server did not end well: %w", err)
	}
	if r.results[porcupine.Ok] != *histories {
		return fmt.Errorf("not all histories are right")
	}
	return nil
}

func main() {
	flag.Parse()
	debug.SetGCPercent(200)
	if err := begin(); err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}
