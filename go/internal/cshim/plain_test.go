// SPDX-License-Identifier: BSD-3-Clause

package cshim_test

import (
	"math/rand"
	"strings"
	"testing"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
)

// What Zeek sends is plain but for what may be an opaque value; and whatever
// happens to it, what is plain passes validation.
func TestPlain(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, file := range []string{"bin-events.json", "bin-timestamp-events.json"} {
		for _, m := range vectors.Load(t, file) {
			checkPlain(t, m.Payload)
			name, err := event.ValidateName(m.Format, m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := cshim.Plain(m.Payload); ok && got != string(name) {
				t.Errorf("%s: the name is %q, want %q", m.What, got, name)
			} else if !ok && !strings.Contains(string(m.Payload), "\x0e\x02\x05") {
				t.Errorf("%s is not plain", m.What)
			}
			for n := range m.Payload {
				if _, ok := cshim.Plain(m.Payload[:n]); ok {
					t.Errorf("%s: its first %d bytes are plain", m.What, n)
				}
			}
			if _, ok := cshim.Plain(append([]byte(nil), append(m.Payload, 0)...)); ok {
				t.Errorf("%s: with a byte more it is plain", m.What)
			}
			for range 2000 {
				p := append([]byte(nil), m.Payload...)
				for range 1 + r.Intn(3) {
					p[r.Intn(len(p))] = byte(r.Intn(256))
				}
				checkPlain(t, p)
			}
		}
	}
}

const plainHead = "\x0e\x03\x02\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00\x01\x0e"

// args is an event with one argument.
func args(body string) string { return plainHead + "\x02\x05\x01e\x0e\x01" + body }

func TestPlainOrNot(t *testing.T) {
	v4 := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04"
	metadata := "\x02\x00\x00\x00\x00\x00\x00\x00\x01\x09\x00\x00\x00\x00\x00\x00\x00\x07"
	for _, x := range []struct {
		what, payload string
		want          bool
	}{
		{"nothing", "", false},
		{"an envelope", plainHead, false},
		{"none", args("\x00"), true},
		{"boolean", args("\x01\x01"), true},
		{"the first tag that is none", args("\x0f"), false},
		{"port", args("\x08\x00\x50\x01"), true},
		{"port of protocol 4", args("\x08\x00\x50\x04"), false},
		{"subnet", args("\x07" + v4 + "\x78"), true},
		{"IPv4 subnet of length -1", args("\x07" + v4 + "\x5f"), false},
		{"IPv6 subnet of length 1", args("\x07\x20" + v4[1:] + "\x01"), true},
		{"subnet of length 129", args("\x07" + v4 + "\x81"), false},
		{"string", args("\x05\x02ab"), true},
		{"string in two bytes of length", args("\x05\x80\x01" + strings.Repeat("x", 128)), true},
		{"string with four bytes of length", args("\x05\x81\x80\x80\x00a"), false},
		{"string that is short", args("\x05\x03ab"), false},
		{"list of a string and more", args("\x0e\x03\x05\x01a\x00\x00"), true},
		{"list of two", args("\x0e\x02\x00\x05\x01a"), true},
		{"perhaps an opaque value", args("\x0e\x02\x05\x01a\x00"), false},
		{"table", args("\x0d\x01\x05\x01a\x00"), true},
		{"table that is short", args("\x0d\x01\x05\x01a"), false},
		{"set of nothing", args("\x0c\x00"), true},
		{"set of more than there are bytes", args("\x0c\xff\xff\x7f"), false},
		{"levels", args(strings.Repeat("\x0e\x01", cshim.PlainLevels-1) + "\x00"), true},
		{"one level more", args(strings.Repeat("\x0e\x01", cshim.PlainLevels) + "\x00"), false},
		{"no arguments", plainHead + "\x02\x05\x01e\x0e\x00", true},
		{"no name", plainHead + "\x02\x05\x00\x0e\x00", false},
		{"a name that is none", plainHead + "\x02\x0b\x01e\x0e\x00", false},
		{"four items", plainHead + "\x04\x05\x01e\x0e\x00\x0e\x00\x00", false},
		{"metadata", plainHead + "\x03\x05\x01e\x0e\x00\x0e\x01\x0e\x02" + metadata, true},
		{"metadata of three", plainHead + "\x03\x05\x01e\x0e\x00\x0e\x01\x0e\x03" + metadata + "\x00", false},
		{"no metadata", plainHead + "\x03\x05\x01e\x0e\x00", false},
		{"version 2", strings.Replace(args("\x00"), "\x01", "\x02", 1), false},
		{"as long as can be", longest(0), true},
		{"a byte more", longest(1), false},
	} {
		if _, got := cshim.Plain([]byte(x.payload)); got != x.want {
			t.Errorf("%s: plain is %v, want %v", x.what, got, x.want)
		}
		checkPlain(t, []byte(x.payload))
	}
}

// longest is an event of the longest payload that is plain, and so many bytes more.
func longest(more int) string {
	n := cshim.PlainMax - len(args("\x05\x00\x00\x00")) + more
	return args("\x05" + string([]byte{byte(n) | 0x80, byte(n>>7) | 0x80, byte(n >> 14)}) + strings.Repeat("x", n))
}

func checkPlain(t *testing.T, p []byte) {
	name, ok := cshim.Plain(p)
	if !ok {
		return
	}
	want, err := event.ValidateName(cshim.PlainFormat, p)
	if err != nil {
		t.Errorf("%q is plain and not valid: %v", p, err)
	}
	if name != string(want) {
		t.Errorf("%q: the name is %q, want %q", p, name, want)
	}
}

func FuzzPlain(f *testing.F) {
	for _, file := range []string{"bin-events.json", "bin-timestamp-events.json"} {
		for _, m := range vectors.Load(f, file) {
			f.Add(m.Payload)
		}
	}
	f.Fuzz(checkPlain)
}
