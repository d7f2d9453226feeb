package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A server is a process of ours, killed and started again at the same address with the same data.
type server struct {
	binary, data, listen string
	endpoint             string
	lock                 sync.Mutex
	process              *exec.Cmd
}

func startServer(binary, data string) (*server, error) {
	s := &server{binary: binary, data: data, listen: "127.0.0.1:0"}
	return s, s.start()
}

func (s *server) start() error {
	log, err := os.OpenFile(s.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = exec.Command(s.binary, "serve", "--data", s.data, "--listen", s.listen, "--log-format", "json", "--control-plane-delay", "1")
	s.process.Stderr = log
	out, err := s.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the server did not start, see %s.log: %v", s.data, s.process.Wait())
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
	return nil
}

func (s *server) killAndStart(pause time.Duration) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.process.Process.Kill()
	s.process.Wait()
	time.Sleep(pause)
	return s.start()
}

// stop ends it as an operator would; an error when it did not end well.
func (s *server) stop() error {
	s.process.Process.Signal(syscall.SIGTERM)
	return s.process.Wait()
}
