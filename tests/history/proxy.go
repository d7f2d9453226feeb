package main

import (
	"io"
	"math/rand"
	"net"
	"sync"
)

// A proxy stands between the clients and the server, and cuts connections.
type proxy struct {
	listener net.Listener
	target   func() string
	lock     sync.Mutex
	pairs    map[*pair]bool
}

type pair struct{ client, server net.Conn }

func startProxy(target func() string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: target, pairs: map[*pair]bool{}}
	go p.accept()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target())
		if err != nil {
			client.Close()
			continue
		}
		pair := &pair{client, server}
		p.lock.Lock()
		p.pairs[pair] = true
		p.lock.Unlock()
		go p.carry(pair, client, server)
		go p.carry(pair, server, client)
	}
}

func (p *proxy) carry(pair *pair, from, to net.Conn) {
	io.Copy(to, from)
	p.lock.Lock()
	delete(p.pairs, pair)
	p.lock.Unlock()
	from.Close()
	to.Close()
}

// cut breaks one connection: both ends at once, or the client's end only, while the server reads on what is there; with a
// reset or without.
func (p *proxy) cut(dice *rand.Rand) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if len(p.pairs) == 0 {
		return
	}
	skip := dice.Intn(len(p.pairs))
	for pair := range p.pairs {
		if skip--; skip >= 0 {
			continue
		}
		if tcp, ok := pair.client.(*net.TCPConn); ok && dice.Intn(2) == 0 {
			tcp.SetLinger(0)
		}
		pair.client.Close()
		if dice.Intn(2) == 0 {
			pair.server.Close()
		}
		return
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.lock.Lock()
	defer p.lock.Unlock()
	for pair := range p.pairs {
		pair.client.Close()
		pair.server.Close()
	}
}
