// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// notifier tells systemd of the service's state, see sd_notify(3). Without
// systemd it does nothing.
type notifier struct {
	socket string
	tick   <-chan time.Time // when the watchdog wants to be fed; nil: never
}

func newNotifier() *notifier {
	n := &notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	if n.socket == "" {
		return n
	}
	if strings.HasPrefix(n.socket, "@") {
		n.socket = "\x00" + n.socket[1:]
	}
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	pid := os.Getenv("WATCHDOG_PID")
	if err == nil && us > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.tick = time.Tick(max(time.Duration(us)*time.Microsecond/2, time.Millisecond))
	}
	return n
}

func (n *notifier) send(state string) {
	if n.socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return // as sd_notify's callers do: the service works without
	}
	defer c.Close()
	c.Write([]byte(state))
}

// reloading says that a reload has begun, which READY=1 ends.
func (n *notifier) reloading() {
	const clockMonotonic = 1
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", ts.Nano()/1000))
}
