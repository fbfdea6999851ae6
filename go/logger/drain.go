// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// How a logger stops without losing what is under way. zmq_unbind, or the end of the process, would end the connections
// at once: what the kernels of both sides hold of them, megabytes from a busy sender, would be gone, and a sender does
// not send again what it has written. So the logger has the senders hang up. It closes its own direction of a connection
// (shutdown(2)), which a sender's libzmq takes for the end of it, and closes it too. All that it had written before still
// arrives, then the end of the stream. What it has not written stays with it, for the next logger at this endpoint. Only
// what its libzmq had taken from its queue and could not write, because the connection was full, goes with the
// connection: one batch, or some small ones of up to 8 KB together.
//
// The receiving goroutine does all this.

const (
	// How long it reads at most before it has the senders hang up. A connection that both sides have closed is given up by
	// libzmq if it cannot read on for want of room in the socket's queue (log_rcvhwm): best nothing waits there.
	catchUp = 500 * time.Millisecond
	// How long they may take, and after that how long libzmq may to end the connections of those that did not.
	hangUp = 2 * time.Second
	// How often it looks which connections are left.
	look = 5 * time.Millisecond
)

// drain receives what is under way until no connection is left.
func (l *Logger) drain() error {
	c := connectionsTo(l.endpoint)
	if _, err := os.ReadDir(descriptors); err != nil {
		l.log.Warn("cannot have the senders hang up; what they have under way is lost", "error", err)
	}
	c.refuse()
	left, err := l.receiveFrom(c, time.Now().Add(catchUp))
	if err != nil {
		return err
	}
	if left > 0 {
		l.log.Warn("some senders did not hang up; what they had under way is lost", "connections", left)
	}
	l.pull.Unbind(l.endpoint)
	_, err = l.receiveFrom(c, time.Now())
	return err
}

// receiveFrom has the senders hang up and receives until they all have, or for as long as they may take. Those from whom
// something waits to be read are not asked before a certain time. It returns how many connections are left.
func (l *Logger) receiveFrom(c connections, patience time.Time) (left int, err error) {
	for deadline := patience.Add(hangUp); ; {
		// Before a connection is closed, all of its messages are in the socket's queues.
		left = c.hangUp(time.Now().After(patience))
		for {
			err := l.take()
			if err == cshim.ErrAgain {
				break
			}
			if err != nil || left > 0 && time.Now().After(deadline) {
				return left, err
			}
		}
		if left == 0 || time.Now().After(deadline) {
			return left, nil
		}
		if _, err := l.poller.Wait(int(look / time.Millisecond)); err != nil {
			return left, err
		}
	}
}

// connections finds, among this process's descriptors, those of the connections made to an endpoint: libzmq does not
// hand them out.
type connections struct {
	path string // ipc
	addr netip.AddrPort
}

// connectionsTo takes an endpoint as libzmq says it is bound. For one of other transports than tcp and ipc it finds none.
func connectionsTo(endpoint string) (c connections) {
	switch transport, address, _ := strings.Cut(endpoint, "://"); transport {
	case "tcp":
		c.addr, _ = netip.ParseAddrPort(address)
	case "ipc":
		c.path = address
	}
	return c
}

// descriptors is where the kernel lists those of this process.
const descriptors = "/proc/self/fd"

// each calls do for the sockets that listen at the endpoint, and for those of its connections.
func (c connections) each(do func(fd int, listens bool)) {
	fds, _ := os.ReadDir(descriptors)
	for _, entry := range fds {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		local, err := unix.Getsockname(fd)
		if err != nil || !c.at(local) {
			continue
		}
		listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err == nil {
			do(fd, listens != 0)
		}
	}
}

// at says whether a socket's own address is that of the endpoint.
func (c connections) at(local unix.Sockaddr) bool {
	switch local := local.(type) {
	case *unix.SockaddrUnix:
		return c.path != "" && local.Name == c.path
	case *unix.SockaddrInet4:
		return c.atAddr(netip.AddrFrom4(local.Addr), local.Port)
	case *unix.SockaddrInet6:
		return c.atAddr(netip.AddrFrom16(local.Addr).Unmap(), local.Port)
	}
	return false
}

func (c connections) atAddr(ip netip.Addr, port int) bool {
	if !c.addr.IsValid() || port != int(c.addr.Port()) {
		return false
	}
	own := c.addr.Addr().WithZone("").Unmap()
	return own.IsUnspecified() || own == ip
}

// hangUp closes this side's direction of the connections, and returns how many there are. It leaves alone, unless all
// are meant, those that have data to be read: for them libzmq may lack room.
func (c connections) hangUp(all bool) (n int) {
	c.each(func(fd int, listens bool) {
		if listens {
			return
		}
		n++
		if unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ); all || err != nil || unread == 0 {
			unix.Shutdown(fd, unix.SHUT_WR)
		}
	})
	return n
}

// refuse keeps those who hang up from coming back at once: the kernel drops what arrives for a listening TCP socket, and
// a socket's file is removed. An abstract Unix socket has none; who comes back there has to hang up again.
func (c connections) refuse() {
	if c.path != "" && c.path[0] != '@' {
		os.Remove(c.path)
		return
	}
	const dropAll = 0x06 // BPF_RET | BPF_K, with 0 bytes to keep
	filter := []unix.SockFilter{{Code: dropAll}}
	c.each(func(fd int, listens bool) {
		if listens && c.path == "" {
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &filter[0]})
		}
	})
}
