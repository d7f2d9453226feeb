package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A trouble comes over the server while a history is recorded; again and again until stop is closed.
type trouble struct {
	name   string
	kills  bool // the server dies of it: one such in a history
	most   int  // times in a history, as each leaves calls of which nobody knows; 0: any
	happen func(t *troubles) error
}

// fits: a limit on the size of files would end the log of the disk that loses its power, too, and the server with it. What the disk
// itself does wants a disk that can be told to.
func (t trouble) fits(powered, faulty bool) bool {
	switch t.name {
	case "full":
		return !powered
	case "power":
		return powered
	case "torn", "disk":
		return faulty
	}
	return true
}

type troubles struct {
	server     *server
	proxies    []*proxy
	control    *client
	generation int
	dice       *rand.Rand
	moved      int // seconds, by the clock
	stop       chan struct{}
}

// What the server passes on the way of a write, and may die at.
var deadly = []string{"engine-apply", "engine-applied", "engine-before-sync", "engine-after-sync", "engine-durable", "commit-decided",
	"commit-applied", "commit-unlocked", "token-put", "token-repeated", "answer"}

var allTroubles = []trouble{
	{"kill", true, 1, func(t *troubles) error {
		t.wait(40)
		return t.server.killAndStart(time.Duration(t.dice.Intn(10))*time.Millisecond, false)
	}},
	{"power", true, 1, func(t *troubles) error {
		t.wait(40)
		return t.server.killAndStart(0, true)
	}},
	{"point", true, 1, func(t *troubles) error {
		t.wait(10)
		t.server.mayDie(true)
		t.command("fault", object{"points": fmt.Sprintf("%s:kill:%d", t.pick(deadly...), 1+t.dice.Intn(30))})
		return t.untilItDies(func() error {
			t.command("fault", object{"points": ""})
			return nil
		})
	}},
	{"torn", true, 1, func(t *troubles) error {
		t.wait(10)
		t.server.mayDie(true)
		if err := t.server.failLog(diskWrite, torn, t.dice.Intn(30), 1); err != nil {
			return err
		}
		return t.untilItDies(t.server.disk.work)
	}},
	{"disk", false, 2, func(t *troubles) error {
		t.wait(20)
		failure := []syscall.Errno{syscall.EIO, syscall.ENOSPC}[t.dice.Intn(2)]
		if err := t.server.failLog([]uint32{diskWrite, diskSync}[t.dice.Intn(2)], int32(failure), t.dice.Intn(20), 1+t.dice.Intn(3)); err != nil {
			return err
		}
		t.wait(60)
		return t.server.disk.work()
	}},
	{"io", false, 2, func(t *troubles) error {
		t.wait(20)
		t.command("fault", object{"points": fmt.Sprintf("%s:io:%d", t.pick("engine-apply", "engine-before-sync", "engine-after-sync"), 1+t.dice.Intn(20))})
		t.wait(60)
		return nil
	}},
	{"slow", false, 0, func(t *troubles) error {
		t.command("fault", object{"points": fmt.Sprintf("%s:sleep:%d", t.pick("engine-before-sync", "engine-after-sync"), 1+t.dice.Intn(15))})
		t.wait(30)
		t.command("fault", object{"points": ""})
		t.wait(30)
		return nil
	}},
	{"full", false, 1, func(t *troubles) error {
		t.wait(60)
		t.server.limitFiles(1)
		t.wait(10)
		t.server.limitFiles(0)
		return nil
	}},
	{"cut", false, 8, func(t *troubles) error {
		t.wait(20)
		t.proxies[t.dice.Intn(len(t.proxies))].cut(t.dice)
		return nil
	}},
	{"clock", false, 0, func(t *troubles) error {
		t.wait(20)
		to := t.dice.Intn(400) - 200 // less than a token's ten minutes from any moment to any other
		t.command("clock-advance", object{"seconds": to - t.moved})
		t.moved = to
		return nil
	}},
	{"split", false, 0, func(t *troubles) error {
		t.wait(40)
		t.command("partition-split", object{"table": t.someTable()})
		return nil
	}},
	{"roll", false, 0, func(t *troubles) error {
		t.wait(20)
		t.command("shard-roll", object{"table": t.someTable()})
		return nil
	}},
	{"throttle", false, 0, func(t *troubles) error {
		t.wait(20)
		t.command("throttle", object{"table": t.someTable(), "count": 1 + t.dice.Intn(6)})
		return nil
	}},
	{"conflict", false, 0, func(t *troubles) error {
		t.wait(20)
		t.command("conflict", object{"table": t.someTable(), "count": 1 + t.dice.Intn(4)})
		return nil
	}},
	{"fail", false, 4, func(t *troubles) error {
		t.wait(40)
		t.command("fail", object{"operation": "*", "error": t.pick("InternalServerError", "ThrottlingException"), "count": 1})
		return nil
	}},
}

func (t *troubles) pick(of ...string) string { return of[t.dice.Intn(len(of))] }

func (t *troubles) someTable() string { return t.control.table(t.dice.Intn(tableCount)) }

// wait for at most so many milliseconds.
func (t *troubles) wait(most int) {
	select {
	case <-t.stop:
	case <-time.After(time.Duration(t.dice.Intn(most*1000)+1) * time.Microsecond):
	}
}

func (t *troubles) over() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// untilItDies of what was armed, and is started again; or until the history is over, which disarms it.
func (t *troubles) untilItDies(disarm func() error) error {
	for {
		if dead, err := t.server.startIfDead(time.Millisecond); dead || err != nil {
			return err
		}
		if t.over() {
			if err := disarm(); err != nil {
				return err
			}
			_, err := t.server.startIfDead(time.Millisecond)
			return err
		}
	}
}

// command runs a test control. It may fail when another trouble has its time.
func (t *troubles) command(control string, parameters object) bool {
	parameters["control"] = control
	body, _ := json.Marshal(parameters)
	status, answer, err := t.control.raw("", "/_stator/test-controls", body)
	if err == nil && status != 200 && status < 500 && !strings.Contains(string(answer), "cannot be split") {
		panic(fmt.Sprintf("%s: %s", body, answer))
	}
	return err == nil && status == 200
}

// trouble runs those chosen beside the clients and leaves a server that is well.
func (t *troubles) trouble(chosen []trouble, group *sync.WaitGroup) {
	for i, one := range chosen {
		own := *t
		own.dice = rand.New(rand.NewSource(t.dice.Int63() + int64(i)))
		own.control = newClient(t.server.endpoint, t.generation, 0)
		group.Add(1)
		go func(one trouble, own *troubles) {
			defer group.Done()
			defer own.server.guard()
			defer own.control.http.CloseIdleConnections()
			for times := 1; !own.over(); times++ {
				if err := one.happen(own); err != nil { // at once: the clients would wait long for the server
					own.server.fail(fmt.Errorf("%s: %w", one.name, err))
				}
				if times == one.most {
					return
				}
			}
		}(one, &own)
	}
}

// settle ends all trouble.
func (t *troubles) settle() error {
	if _, err := t.server.startIfDead(0); err != nil {
		return err
	}
	t.server.limitFiles(0)
	for tries := 0; !t.command("reset", object{}); tries++ {
		if tries == 5000 {
			return fmt.Errorf("the server does not come back")
		}
		if _, err := t.server.startIfDead(0); err != nil {
			return err
		}
		pause()
	}
	t.server.mayDie(false) // all faults are off
	return nil
}
