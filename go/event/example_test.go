// SPDX-License-Identifier: BSD-3-Clause

package event_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/event"
)

// The arguments of an event can be given as plain Go values. Their types decide which Zeek types they become: unsigned
// integers are counts, signed ones ints.
func ExampleNew() {
	e, err := event.New("Demo::ping", uint64(7), netip.MustParseAddr("192.0.2.1"),
		event.Port{Number: 53, Proto: event.UDP}, 500*time.Millisecond)
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := event.Encode(event.BrokerBinV1, e)
	fmt.Printf("%d bytes, %v\n", len(payload), err)
	// Output: 75 bytes, <nil>
}

// Without a schema, an event is a name and a tree of values.
func ExampleDecode() {
	payload := []byte(`{"@data-type":"vector","data":[` +
		`{"@data-type":"count","data":1},{"@data-type":"count","data":1},` +
		`{"@data-type":"vector","data":[{"@data-type":"string","data":"Demo::seen"},` +
		`{"@data-type":"vector","data":[{"@data-type":"set","data":[{"@data-type":"address","data":"10.0.0.1"}]},` +
		`{"@data-type":"timespan","data":"90s"}]}]}]}`)

	e, err := event.Decode(event.BrokerJSONV1, payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Name)
	for _, arg := range e.Args {
		fmt.Printf("%T %v\n", arg, arg)
	}
	// Output:
	// Demo::seen
	// event.Set [10.0.0.1]
	// time.Duration 1m30s
}

// A struct gives an event its schema: one field per parameter, records as structs inside it.
func ExamplePack() {
	type flow struct { // a record
		Orig    netip.Addr `zeek:"orig_h"`
		Service *string    `zeek:"service"` // &optional
	}
	type seen struct { // event(flow: Flow, kind: Kind, tags: set[string], sizes: table[string] of count)
		Flow  flow              `zeek:"flow"`
		Kind  string            `zeek:"kind,enum"`
		Tags  []string          `zeek:"tags,set"`
		Sizes map[string]uint64 `zeek:"sizes"`
	}

	e, err := event.Pack("Demo::seen", seen{
		Flow:  flow{Orig: netip.MustParseAddr("10.0.0.1")},
		Kind:  "Demo::INTERNAL",
		Tags:  []string{"b", "a"},
		Sizes: map[string]uint64{"in": 3, "out": 4},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := event.Encode(event.BrokerBinV1, e)
	if err != nil {
		fmt.Println(err)
		return
	}

	// And on the other side:
	e, err = event.Decode(event.BrokerBinV1, payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	var got seen
	if err := e.Unpack(&got); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(got.Flow.Orig, got.Flow.Service == nil, got.Kind, got.Tags, got.Sizes)
	// Output: 10.0.0.1 true Demo::INTERNAL [a b] map[in:3 out:4]
}

// Scan is for events of a few arguments.
func ExampleEvent_Scan() {
	e, _ := event.New("Cluster::hello", "worker-1", "zeromq_worker-1_host_1_abc")
	var name, id string
	if err := e.Scan(&name, &id); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(name, id)

	var n uint64
	fmt.Println(e.Scan(&n, nil))
	// Output:
	// worker-1 zeromq_worker-1_host_1_abc
	// event "Cluster::hello", argument 1: event: type mismatch: cannot store a string in a uint64
}

// Validate tells what is wrong with a payload, and where. The format may be the bytes of a message's third part.
func ExampleValidate() {
	e, _ := event.New("Demo::ping", event.Port{Number: 53, Proto: event.UDP})
	payload, _ := event.Encode(event.BrokerBinV1, e)
	fmt.Println(event.Validate([]byte("broker-bin-v1"), payload))

	payload[len(payload)-1] = 9
	err := event.Validate([]byte("broker-bin-v1"), payload)
	fmt.Println(err)
	fmt.Println(errors.Is(err, event.ErrPort))
	// Output:
	// <nil>
	// event: bad port at offset 36: protocol 9
	// true
}
