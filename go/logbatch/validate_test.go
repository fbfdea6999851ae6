// SPDX-License-Identifier: BSD-3-Clause

package logbatch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

func TestValidateAcceptsWhatZeekSends(t *testing.T) {
	for _, m := range vectors.Load(t, "bin-logs.json") {
		if m.Format != logbatch.Format {
			t.Errorf("format %q, want %q", m.Format, logbatch.Format)
		}
		if err := logbatch.Validate(m.Payload); err != nil {
			t.Error(err)
		}
	}
}

func u32(v uint32) string { return string(binary.BigEndian.AppendUint32(nil, v)) }
func u64(v uint64) string { return string(binary.BigEndian.AppendUint64(nil, v)) }
func str(s string) string { return u32(uint32(len(s))) + s }

func field(name string, t, sub logbatch.Type) string {
	return "\x00" + str(name) + u32(uint32(t)) + u32(uint32(sub)) + "\x00"
}

// value returns a set value of type t.
func value(t logbatch.Type, body string) string { return u32(uint32(t)) + u32(0) + "\x01" + body }
func unset(t logbatch.Type) string              { return u32(uint32(t)) + u32(0) + "\x00" }

func header() string { return str("X::LOG") + str("Log::WRITER_ASCII") + str("default") + str("x") }

// batch returns a batch with one field of type t and one record with the value v.
func batch(t logbatch.Type, v string) string {
	return header() + u32(1) + field("f", t, 0) + u32(1) + v
}

func TestValidate(t *testing.T) {
	nested := func(depth int) string {
		v := value(logbatch.Count, u64(1))
		for ; depth > 0; depth-- {
			v = value(logbatch.Set, u64(1)+v)
		}
		return batch(logbatch.Set, v)
	}
	tests := []struct {
		name    string
		payload string
		want    error
	}{
		{"no records", header() + u32(1) + field("f", logbatch.Int, 0) + u32(0), nil},
		{"no fields and no records", header() + u32(0) + u32(0), nil},
		{"unset value", batch(logbatch.Addr, unset(logbatch.Addr)), nil},
		{"secondary name", header() + u32(1) + "\x01" + str("second") + str("f") + u32(uint32(logbatch.Count)) + u32(0) + "\x01" + u32(1) + value(logbatch.Count, u64(1)), nil},
		{"sub-type repeated in the value", batch(logbatch.Count, u32(3)+u32(3)+"\x01"+u64(1)), nil},
		{"vector with a hole", batch(logbatch.Vector, value(logbatch.Vector, u64(2)+value(logbatch.Bool, u64(1))+unset(logbatch.Bool))), nil},

		{"empty payload", "", logbatch.ErrTruncated},
		{"short string", u32(5) + "ab", logbatch.ErrTruncated},
		{"negative string length", u32(math.MaxUint32), logbatch.ErrString},
		{"4 G fields", header() + u32(math.MaxUint32) + strings.Repeat("\x00", 100), logbatch.ErrCount},
		{"4 G records", header() + u32(1) + field("f", logbatch.Int, 0) + u32(math.MaxUint32) + strings.Repeat("\x00", 100), logbatch.ErrCount},
		{"records without fields", header() + u32(0) + u32(1) + strings.Repeat("\x00", 100), logbatch.ErrCount},
		{"4 G records without fields", header() + u32(0) + u32(math.MaxUint32), logbatch.ErrCount},
		{"record missing", header() + u32(1) + field("f", logbatch.Int, 0) + u32(1), logbatch.ErrCount},
		{"trailing byte", batch(logbatch.Int, value(logbatch.Int, u64(1))) + "\x00", logbatch.ErrTrailing},
		{"flag of 2", header() + u32(1) + "\x02" + field("f", logbatch.Int, 0)[1:] + u32(0), logbatch.ErrBool},
		{"value flag of 2", batch(logbatch.Int, u32(2)+u32(0)+"\x02"+u64(1)), logbatch.ErrBool},
		{"field of type pattern", header() + u32(1) + field("f", 8, 0) + u32(0), logbatch.ErrType},
		{"field of negative type", header() + u32(1) + field("f", -1, 0) + u32(0), logbatch.ErrType},
		{"field with elements of negative type", header() + u32(1) + field("f", logbatch.Set, -1) + u32(0), logbatch.ErrType},
		{"field with elements of type 23", header() + u32(1) + field("f", logbatch.Set, 23) + u32(0), logbatch.ErrType},
		{"value of another type", batch(logbatch.Int, value(logbatch.String, str("x"))), logbatch.ErrType},
		{"unset value of another type", batch(logbatch.Int, unset(logbatch.String)), logbatch.ErrType},
		{"element of type pattern", batch(logbatch.Set, value(logbatch.Set, u64(1)+value(8, str("x")))), logbatch.ErrType},
		{"unset element of negative type", batch(logbatch.Set, value(logbatch.Set, u64(1)+unset(-5))), logbatch.ErrType},
		{"negative set size", batch(logbatch.Set, value(logbatch.Set, u64(math.MaxUint64))), logbatch.ErrCount},
		{"set larger than the batch", batch(logbatch.Set, value(logbatch.Set, u64(2)+value(logbatch.Int, u64(1)))), logbatch.ErrCount},
		{"vector of 2^62 elements", batch(logbatch.Vector, value(logbatch.Vector, u64(1<<62)+strings.Repeat("\x00", 50))), logbatch.ErrCount},
		{"short number", batch(logbatch.Double, value(logbatch.Double, "\x00\x00")), logbatch.ErrTruncated},
		{"port", batch(logbatch.Port, value(logbatch.Port, u64(65535)+u32(3))), nil},
		{"port protocol 4", batch(logbatch.Port, value(logbatch.Port, u64(1)+u32(4))), logbatch.ErrPort},
		{"port number 65536", batch(logbatch.Port, value(logbatch.Port, u64(65536)+u32(1))), logbatch.ErrPort},
		{"address of family 5", batch(logbatch.Addr, value(logbatch.Addr, "\x05aaaa")), logbatch.ErrFamily},
		{"short address", batch(logbatch.Addr, value(logbatch.Addr, "\x06aaaa")), logbatch.ErrTruncated},
		{"IPv4 /0", batch(logbatch.Subnet, value(logbatch.Subnet, "\x60\x04\x00\x00\x00\x00")), nil},
		{"IPv4 below /0", batch(logbatch.Subnet, value(logbatch.Subnet, "\x5f\x04\x00\x00\x00\x00")), logbatch.ErrSubnet},
		{"IPv6 /0", batch(logbatch.Subnet, value(logbatch.Subnet, "\x00\x06"+strings.Repeat("\x00", 16))), nil},
		{"IPv6 /129", batch(logbatch.Subnet, value(logbatch.Subnet, "\x81\x06"+strings.Repeat("\x00", 16))), logbatch.ErrSubnet},
		{"8 levels", nested(logbatch.MaxDepth), nil},
		{"9 levels", nested(logbatch.MaxDepth + 1), logbatch.ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkError(t, logbatch.Validate([]byte(tt.payload)), tt.want)
		})
	}
}

func checkError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
	var se *logbatch.SyntaxError
	if err != nil && !errors.As(err, &se) {
		t.Errorf("error %v is a %T, want a *SyntaxError", err, err)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	err := logbatch.Validate([]byte(batch(logbatch.Port, value(logbatch.Port, u64(1)+u32(4)))))
	want := "logbatch: bad port at offset 70: protocol 4"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestValidateSurvivesDamage(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	p := vectors.Load(t, "bin-logs.json")[0].Payload
	accepted, rejected := 0, 0
	try := func(q []byte) {
		if err := logbatch.Validate(q); err == nil {
			accepted++
		} else {
			checkError(t, err, err)
			rejected++
		}
	}
	for i := range p {
		try(p[:i])
		for _, b := range []byte{0x00, 0x01, 0x08, 0x13, 0x7f, 0x80, 0xff, p[i] ^ 1} {
			q := bytes.Clone(p)
			q[i] = b
			try(q)
		}
	}
	for n := 0; n < 10000; n++ {
		q := bytes.Clone(p)
		for k := r.Intn(3) + 1; k > 0; k-- {
			i, j := r.Intn(len(q)), r.Intn(len(q))
			switch r.Intn(3) {
			case 0:
				q[i] ^= 1 << r.Intn(8)
			case 1:
				q = append(q[:min(i, j):min(i, j)], q[max(i, j):]...)
			case 2:
				q = append(append(bytes.Clone(q[:i]), "\xff\xff\xff\xff"...), q[i:]...)
			}
			if len(q) == 0 {
				break
			}
		}
		try(q)
	}
	if accepted == 0 || rejected == 0 {
		t.Errorf("%d damaged batches accepted, %d rejected, want some of both", accepted, rejected)
	}
}

func TestValidateDoesNotAllocate(t *testing.T) {
	for _, m := range vectors.Load(t, "bin-logs.json") {
		if n := testing.AllocsPerRun(10, func() {
			if err := logbatch.Validate(m.Payload); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func FuzzValidate(f *testing.F) {
	for _, m := range vectors.Load(f, "bin-logs.json") {
		f.Add(m.Payload)
	}
	f.Add([]byte(batch(logbatch.Set, value(logbatch.Set, u64(1)+value(logbatch.Int, u64(1))))))
	f.Fuzz(func(t *testing.T, p []byte) {
		if err := logbatch.Validate(p); err != nil {
			checkError(t, err, err)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	p := vectors.Load(b, "bin-logs.json")[0].Payload
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	for i := 0; i < b.N; i++ {
		if err := logbatch.Validate(p); err != nil {
			b.Fatal(err)
		}
	}
}
