// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// zapHandler answers libzmq's question whether a peer may connect (ZAP, RFC 27):
// peers with one of the allowed CURVE keys may. One goroutine, which owns the
// socket, runs it from serveZAP to stop.
type zapHandler struct {
	rep    *cshim.Socket
	poller *cshim.Poller
	done   chan struct{}

	mutex   sync.Mutex
	allowed [][]byte // public keys, 32 bytes each
	stopped bool
}

// serveZAP allows peers with the given public key (Z85) to the CURVE servers of
// the context.
func (c *sharedContext) serveZAP(publicKey string) error {
	contextMutex.Lock()
	defer contextMutex.Unlock()

	if c.zap == nil {
		z, err := newZAP(c.Context)
		if err != nil {
			return err
		}
		c.zap = z
	}
	return c.zap.allow(publicKey)
}

// ZAP answers for a context of its own.
type ZAP struct{ handler *zapHandler }

// ServeZAP answers for a context of its own, allowing the given keys (Z85),
// until it is stopped.
func ServeZAP(c *cshim.Context, publicKeys ...string) (*ZAP, error) {
	h, err := newZAP(c)
	if err != nil {
		return nil, err
	}
	z := &ZAP{h}
	if err := z.SetAllowed(publicKeys); err != nil {
		z.Stop()
		return nil, err
	}
	return z, nil
}

// SetAllowed replaces the keys that are allowed. Connections that exist stay. On
// an error nothing has changed. Any goroutine.
func (z *ZAP) SetAllowed(publicKeys []string) error {
	var keys [][]byte
	for _, k := range publicKeys {
		key, err := cshim.Z85Decode(k)
		if err != nil {
			return fmt.Errorf("%q: %w", k, err)
		}
		keys = append(keys, key)
	}
	z.handler.mutex.Lock()
	defer z.handler.mutex.Unlock()
	z.handler.allowed = keys
	return nil
}

// Stop ends the answers. Stopping nil does nothing.
func (z *ZAP) Stop() {
	if z != nil {
		z.handler.stop()
	}
}

const zapEndpoint = "inproc://zeromq.zap.01"

func newZAP(c *cshim.Context) (*zapHandler, error) {
	rep, err := c.NewSocket(cshim.Rep)
	if err != nil {
		return nil, fmt.Errorf("cannot make the ZAP socket: %w", err)
	}
	rep.Set(cshim.Linger, 0)
	if err := rep.Bind(zapEndpoint); err != nil {
		rep.Close()
		return nil, &EndpointError{"bind ZAP", "curve_client_publickey", zapEndpoint, err}
	}
	poller, err := cshim.NewWakePoller()
	if err != nil {
		rep.Close()
		return nil, fmt.Errorf("cannot make the ZAP handler's waker: %w", err)
	}
	poller.Add(rep)
	z := &zapHandler{rep: rep, poller: poller, done: make(chan struct{})}
	go z.run()
	return z, nil
}

func (z *zapHandler) allow(publicKey string) error {
	key, err := cshim.Z85Decode(publicKey)
	if err != nil {
		return fmt.Errorf("curve_client_publickey: %w", err)
	}
	z.mutex.Lock()
	defer z.mutex.Unlock()
	for _, k := range z.allowed {
		if bytes.Equal(k, key) {
			return nil
		}
	}
	z.allowed = append(z.allowed, key)
	return nil
}

func (z *zapHandler) isAllowed(key []byte) bool {
	z.mutex.Lock()
	defer z.mutex.Unlock()
	for _, k := range z.allowed {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

func (z *zapHandler) isStopped() bool {
	z.mutex.Lock()
	defer z.mutex.Unlock()
	return z.stopped
}

// stop ends the handler and closes its socket. Stopping nil does nothing.
func (z *zapHandler) stop() {
	if z == nil {
		return
	}
	z.mutex.Lock()
	z.stopped = true
	z.mutex.Unlock()
	z.poller.Wake()
	<-z.done
}

func (z *zapHandler) run() {
	defer close(z.done)
	defer z.poller.Close()
	defer z.rep.Close()

	for !z.isStopped() {
		parts, err := z.rep.Recv()
		if err == nil {
			z.rep.Send(z.answer(parts))
			continue
		}
		if err != cshim.ErrAgain {
			return
		}
		if _, err := z.poller.Wait(-1); err != nil {
			return
		}
	}
}

// answer makes the reply to a request of: version, request id, domain, address,
// identity, mechanism, credentials.
func (z *zapHandler) answer(request [][]byte) [][]byte {
	var id []byte
	if len(request) > 1 {
		id = request[1]
	}
	code, text, user := "400", "not a ZAP request for CURVE", ""
	if len(request) >= 7 && string(request[5]) == "CURVE" {
		if z.isAllowed(request[6]) {
			code, text, user = "200", "OK", "0"
		} else {
			text = "this public key is not allowed"
		}
	}
	return [][]byte{[]byte("1.0"), id, []byte(code), []byte(text), []byte(user), nil}
}
