package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A server is a process of ours, killed and started again at the same addresses with the same data.
type server struct {
	binary, data, log, listen string
	power                     *power // or nil: the disk keeps what is written
	disk                      *disk  // or nil: it does not fail
	endpoint                  string
	dax                       string // address of its DAX node, "" before the first start
	caches                    caches
	lock                      sync.Mutex // held while it is not running
	process                   *exec.Cmd
	ended                     chan struct{} // closed when the process has ended
	starts                    int
	told                      atomic.Value // string: what is being done, for people
	may                       *atomicFlag  // the process that runs may die of kill -9: we did that, or armed a fault point
	stopping                  *atomicFlag  // it was asked to end
}

// An atomicFlag is of one life of the server, so that nobody means the next one.
type atomicFlag struct{ value int32 }

func (f *atomicFlag) set(on bool) {
	value := int32(0)
	if on {
		value = 1
	}
	atomic.StoreInt32(&f.value, value)
}

func (f *atomicFlag) is() bool { return atomic.LoadInt32(&f.value) != 0 }

func (s *server) say(what string) { s.told.Store(what) }

// mayDie: a fault point that kills is armed, or all are off.
func (s *server) mayDie(may bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.may.set(may)
}

// lastWords are the last lines of its log.
func (s *server) lastWords() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	return strings.Join(lines, "\n")
}

// watch one life of the server. That it is gone though nobody killed it ends everything at once: the clients would wait long.
func (s *server) watch(process *exec.Cmd, log *os.File, ended chan struct{}, may, stopping *atomicFlag) {
	process.Wait()
	log.Close()
	status, _ := process.ProcessState.Sys().(syscall.WaitStatus)
	killed := status.Signaled() && status.Signal() == syscall.SIGKILL
	if !(may.is() && killed) && !stopping.is() {
		fmt.Fprintf(os.Stderr, "history: seed %d, %v: the server is gone, and nobody told it to: %s. The end of %s:\n%s\n",
			*seed, s.told.Load(), process.ProcessState, s.log, s.lastWords())
		os.Exit(3)
	}
	close(ended)
}

// fail ends all: there is no server any more.
func (s *server) fail(err error) {
	fmt.Fprintf(os.Stderr, "history: seed %d, %v: %v\n", *seed, s.told.Load(), err)
	s.kill()
	os.Exit(3)
}

// caches: how the DAX node is run.
type caches struct {
	coherent bool
	itemMs   int // how long items are kept; 0: for ever
}

func (c caches) options() []string {
	list := []string{"--dax-record-ttl", fmt.Sprint(c.itemMs)}
	if c.coherent {
		list = append(list, "--dax-coherent", "--dax-query-ttl", "86400000")
	}
	return list
}

func startServer(binary, data string, power *power, disk *disk, caches caches) (*server, error) {
	s := &server{binary: binary, data: data, log: data + ".log", listen: "127.0.0.1:0", power: power, disk: disk, caches: caches}
	if power != nil { // the folder is the disk, so the data lie below it
		if err := os.MkdirAll(data, 0o755); err != nil {
			return nil, err
		}
		s.data = filepath.Join(data, "data")
	}
	return s, s.start()
}

func (s *server) start() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	s.process = exec.Command(s.binary, "serve", "--data", s.data, "--listen", s.listen, "--log-format", "json",
		"--control-plane-delay", "1", "--test-controls", "--min-free", "1M", "--dax-listen", s.daxListen())
	s.process.Args = append(s.process.Args, s.caches.options()...)
	s.process.Stderr = struct{ io.Writer }{log} // through a pipe: a limit on its files must not cut its last words
	var environment []string
	if s.power != nil {
		if environment, err = s.power.begin(); err != nil {
			return err
		}
	}
	if s.disk != nil {
		environment = s.disk.environment(environment)
		if err := s.disk.work(); err != nil {
			return err
		}
	}
	s.process.Env = append(os.Environ(), environment...)
	out, err := s.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		log.Close()
		return err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the server did not start: %v. The end of %s:\n%s", s.process.Wait(), s.log, s.lastWords())
	}
	var ready struct{ Endpoint string }
	if err := json.Unmarshal(line, &ready); err != nil {
		return err
	}
	address, err := url.Parse(ready.Endpoint)
	if err != nil {
		return err
	}
	s.endpoint, s.listen = ready.Endpoint, address.Host
	s.ended = make(chan struct{})
	s.starts++
	s.may, s.stopping = new(atomicFlag), new(atomicFlag)
	go s.watch(s.process, log, s.ended, s.may, s.stopping)
	if s.dax == "" {
		return s.askForDax()
	}
	return nil
}

func (s *server) daxListen() string {
	if s.dax == "" {
		return "127.0.0.1:0"
	}
	return s.dax
}

func (s *server) askForDax() error {
	response, err := http.Get(s.endpoint + "/health")
	if err != nil {
		select {
		case <-s.ended: // watch() has told why
		case <-time.After(time.Minute):
		}
		return err
	}
	defer response.Body.Close()
	var health struct{ Dax string }
	if err := json.NewDecoder(response.Body).Decode(&health); err != nil || health.Dax == "" {
		return fmt.Errorf("no address of DAX in /health: %v", err)
	}
	s.dax = health.Dax
	return nil
}

// restart ends it well and starts it with other caches.
func (s *server) restart(caches caches) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if err := s.stop(); err != nil {
		return err
	}
	s.caches = caches
	return s.start()
}

// killAndStart: with the power gone as well, what was not synced is lost, in part or whole.
func (s *server) killAndStart(rest time.Duration, withPower bool) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.may.set(true)
	s.process.Process.Kill()
	<-s.ended
	if withPower {
		if err := s.power.lose(); err != nil {
			return err
		}
	}
	time.Sleep(rest)
	return s.start()
}

// startIfDead: it may have died at a fault point.
func (s *server) startIfDead(wait time.Duration) (bool, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	select {
	case <-s.ended:
		return true, s.start()
	default:
	}
	select {
	case <-s.ended:
		return true, s.start()
	case <-time.After(wait):
		return false, nil
	}
}

// limitFiles: no file may grow beyond so many bytes, as if the disk were full; 0: as they like.
func (s *server) limitFiles(bytes uint64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	limit := syscall.Rlimit{Cur: bytes, Max: ^uint64(0)}
	if bytes == 0 {
		limit.Cur = ^uint64(0)
	}
	syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(s.process.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
}

// failLog of the server that runs: a start finds a disk that works.
func (s *server) failLog(operations uint32, result int32, skip, count int) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.disk.failLog(operations, result, skip, count)
}

// kill ends it for good.
func (s *server) kill() {
	s.may.set(true)
	s.process.Process.Kill()
}

// stop ends it as an operator would; an error when it did not end well.
func (s *server) stop() error {
	s.stopping.set(true)
	s.process.Process.Signal(syscall.SIGTERM)
	<-s.ended
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("it ended with %s", s.process.ProcessState)
	}
	return nil
}

// A power is the disk that tests/crash/power_shim.c imitates; tests/integration/power.py knows what is lost.
type power struct {
	tool, folder, data string
	losses             int
}

func (p *power) run(what string, more ...string) (string, error) {
	command := exec.Command("python3", append([]string{p.tool, what, p.folder, p.data}, more...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	return string(out), err
}

func (p *power) begin() ([]string, error) {
	out, err := p.run("begin")
	return strings.Fields(out), err
}

func (p *power) lose() error {
	p.losses++
	_, err := p.run("lose", fmt.Sprint(*seed+int64(p.losses)))
	return err
}

// guard ends everything, the server too, when a goroutine panics: `defer s.guard()`.
func (s *server) guard() {
	if r := recover(); r != nil {
		s.kill()
		fmt.Fprintf(os.Stderr, "history: seed %d, %v: panic: %v\n", *seed, s.told.Load(), r)
		os.Exit(2)
	}
}
