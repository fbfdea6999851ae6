// SPDX-License-Identifier: BSD-3-Clause

package logbatch_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

var connHeader = logbatch.Header{
	Stream: "Conn::LOG",
	Writer: "Log::WRITER_ASCII",
	Filter: "default",
	Path:   "conn",
	Fields: []logbatch.Field{
		{Name: "ts", Type: logbatch.Time},
		{Name: "id.orig_h", Type: logbatch.Addr},
		{Name: "id.orig_p", Type: logbatch.Port},
		{Name: "service", Type: logbatch.String, Optional: true},
		{Name: "tunnel_parents", Type: logbatch.Set, Subtype: logbatch.String, Optional: true},
	},
}

// A batch is built value by value, in the order of the fields.
func ExampleBuilder() {
	b, err := logbatch.NewBuilder(connHeader)
	if err != nil {
		fmt.Println(err)
		return
	}

	b.Time(time.Unix(1, 5e8))
	b.Addr(netip.MustParseAddr("10.1.2.3"))
	b.Port(443, logbatch.TCP)
	b.Unset()
	b.Set(1)
	b.Text("CXY")

	payload, err := b.Bytes()
	fmt.Println(b.Len(), "record,", len(payload), "bytes,", err)
	// Output: 1 record, 266 bytes, <nil>
}

// Records are read one after the other. Their values point into the batch, so that nothing is copied.
func ExampleReader() {
	b, _ := logbatch.NewBuilder(connHeader)
	b.Time(time.Unix(1, 5e8))
	b.Addr(netip.MustParseAddr("10.1.2.3"))
	b.Port(443, logbatch.TCP)
	b.Unset()
	b.Set(2)
	b.Text("CXY")
	b.Text("CAB")
	payload, _ := b.Bytes()

	r, err := logbatch.NewReader(payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Header().Path, r.Len())
	for r.Next() {
		for i, v := range r.Row() {
			field := r.Header().Fields[i]
			if !v.IsSet() {
				fmt.Printf("%s (%s): unset\n", field.Name, field.TypeName())
				continue
			}
			fmt.Printf("%s (%s): %v\n", field.Name, field.TypeName(), v.Go())
		}
	}
	// Output:
	// conn 1
	// ts (time): 1970-01-01 00:00:01.5 +0000 UTC
	// id.orig_h (addr): 10.1.2.3
	// id.orig_p (port): {443 1}
	// service (string): unset
	// tunnel_parents (set[string]): [CXY CAB]
}

// Validate tells what is wrong with a batch, and where.
func ExampleValidate() {
	b, _ := logbatch.NewBuilder(connHeader)
	payload, _ := b.Bytes()
	payload = append(payload, "more"...)

	err := logbatch.Validate(payload)
	fmt.Println(err)
	fmt.Println(errors.Is(err, logbatch.ErrTrailing))
	// Output:
	// logbatch: bytes after the end of the batch at offset 172: 4 bytes
	// true
}
