// SPDX-License-Identifier: BSD-3-Clause

// Command libzeekzmq is the engine as a C library (go build
// -buildmode=c-shared). It has the exported functions of zeekzmq.h and nothing
// else; what they promise is said there.
//
// A host calls them from its control thread (cshim/loader.h). Every one turns a
// panic into a result.
package main

// #include <stdint.h>
// #include <stddef.h>
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/zeekzmq/zeek-zeromq/go/broker"
	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func main() {}

// stopper is what a handle stands for.
type stopper interface{ Stop() error }

// handles are the nodes and brokers that run. A handle is never used twice.
var handles = struct {
	sync.Mutex
	last uint64
	open map[uint64]stopper
}{open: map[uint64]stopper{}}

func addHandle(s stopper) C.uint64_t {
	handles.Lock()
	defer handles.Unlock()
	handles.last++
	handles.open[handles.last] = s
	return C.uint64_t(handles.last)
}

// takeHandle takes the handle of a T, a node or a broker, out of use.
func takeHandle[T stopper](h C.uint64_t) (T, error) {
	handles.Lock()
	defer handles.Unlock()
	s, ok := handles.open[uint64(h)].(T)
	if !ok {
		return s, errHandle
	}
	delete(handles.open, uint64(h))
	return s, nil
}

// call runs an export's body and puts its error, or its panic, into err.
func call(err *C.char, size C.size_t, body func() error) (result C.int32_t) {
	defer func() {
		if v := recover(); v != nil {
			result = fail(err, size, &engine.PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	if e := body(); e != nil {
		return fail(err, size, e)
	}
	return C.int32_t(cshim.OK)
}

var errHandle = errors.New("no such handle, or stopped already")

func fail(err *C.char, size C.size_t, e error) C.int32_t {
	if err != nil && size > 0 {
		buf := unsafe.Slice((*byte)(unsafe.Pointer(err)), int(size))
		n := copy(buf[:len(buf)-1], e.Error())
		buf[n] = 0
	}

	var option *options.Error
	var endpoint *engine.EndpointError
	var panicked *engine.PanicError
	switch {
	case errors.As(e, &option), errors.Is(e, errOption):
		return C.int32_t(cshim.EOption)
	case errors.As(e, &endpoint):
		return C.int32_t(cshim.EEndpoint)
	case errors.As(e, &panicked):
		return C.int32_t(cshim.EPanic)
	case errors.Is(e, errHandle):
		return C.int32_t(cshim.EHandle)
	case errors.Is(e, engine.ErrTimeout), errors.Is(e, broker.ErrTimeout):
		return C.int32_t(cshim.ETimeout)
	}
	return C.int32_t(cshim.ESystem)
}

// errOption marks errors about options that are not *options.Error.
var errOption = errors.New("bad option")

// option is zeekzmq_option.
type option struct {
	name, value *C.char
	valueLen    C.size_t
}

// parse reads a host's options, and tunes the Go runtime by them.
func parse(opts unsafe.Pointer, n C.size_t) (options.Options, error) {
	o := options.Default()
	for _, x := range unsafe.Slice((*option)(opts), int(n)) {
		value := C.GoStringN(x.value, C.int(x.valueLen))
		if err := o.Set(C.GoString(x.name), value); err != nil {
			return o, fmt.Errorf("%w%w", err, hidden{errOption})
		}
	}
	if err := o.CheckKeys(); err != nil {
		return o, fmt.Errorf("%w%w", err, hidden{errOption})
	}

	tune.Do(func() {
		runtime.GOMAXPROCS(int(o.EngineThreads))
		debug.SetGCPercent(o.EngineGCPercent)
		if o.EngineMemoryLimit > 0 {
			debug.SetMemoryLimit(int64(o.EngineMemoryLimit))
		}
	})
	return o, nil
}

// tune: once, since the runtime is one for all nodes of a process.
var tune sync.Once

// hidden adds an error to a chain without adding to its text.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

//export zeekzmq_abi_version
func zeekzmq_abi_version() C.uint32_t { return C.uint32_t(cshim.ABIVersion) }

//export zeekzmq_node_start
func zeekzmq_node_start(opts unsafe.Pointer, n C.size_t, ch unsafe.Pointer, node *C.uint64_t, err *C.char, size C.size_t) C.int32_t {
	return call(err, size, func() error {
		o, e := parse(opts, n)
		if e != nil {
			return e
		}
		started, e := engine.Start(cshim.ChannelAt(ch), o)
		if e != nil {
			return e
		}
		*node = addHandle(started)
		return nil
	})
}

//export zeekzmq_node_stop
func zeekzmq_node_stop(node C.uint64_t, err *C.char, size C.size_t) C.int32_t {
	return stop[*engine.Engine](node, err, size)
}

//export zeekzmq_broker_start
func zeekzmq_broker_start(opts unsafe.Pointer, n C.size_t, stats unsafe.Pointer, handle *C.uint64_t, err *C.char, size C.size_t) C.int32_t {
	return call(err, size, func() error {
		o, e := parse(opts, n)
		if e != nil {
			return e
		}
		started, e := broker.Start(o, (*broker.Stats)(stats))
		if e != nil {
			return e
		}
		*handle = addHandle(started)
		return nil
	})
}

//export zeekzmq_broker_stop
func zeekzmq_broker_stop(handle C.uint64_t, err *C.char, size C.size_t) C.int32_t {
	return stop[*broker.Broker](handle, err, size)
}

func stop[T stopper](handle C.uint64_t, err *C.char, size C.size_t) C.int32_t {
	return call(err, size, func() error {
		s, e := takeHandle[T](handle)
		if e != nil {
			return e
		}
		return s.Stop()
	})
}

//export zeekzmq_keypair
func zeekzmq_keypair(public, secret, err *C.char, size C.size_t) C.int32_t {
	return call(err, size, func() error {
		p, s, e := cshim.Keypair()
		if e != nil {
			return e
		}
		copy(unsafe.Slice((*byte)(unsafe.Pointer(public)), 41), p+"\x00")
		copy(unsafe.Slice((*byte)(unsafe.Pointer(secret)), 41), s+"\x00")
		return nil
	})
}

//export zeekzmq_open_handles
func zeekzmq_open_handles(n *C.uint64_t) C.int32_t {
	handles.Lock()
	defer handles.Unlock()
	*n = C.uint64_t(len(handles.open))
	return C.int32_t(cshim.OK)
}
