// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/zeekzmq/zeek-zeromq/go/event"
)

// Sequences that terminals obey: ESC, C1's CSI as UTF-8 and as a byte, the end of
// a line, text that runs the other way, DEL, and one beyond 16 bits.
const hostile = "a\x1b[2Jb\u009b1mc\x9b3md\ne\rf\u202eg\x7fh\U000e0001i)\"\\"

// safe says whether a terminal would show the lines as they are.
func safe(text string) bool {
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func TestWhatComesFromTheNetworkIsHarmlessOnATerminal(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	text := launch(t, p.connect("sub", "--log-level", "info", "--count", "1", "x")...)
	js := launch(t, p.connect("sub", "--log-level", "info", "--count", "1", "--format", "json", "x")...)
	text.awaitErr("subscribed")
	js.awaitErr("subscribed")
	// As an argument to pub, a NUL byte could not be.
	e := string(appendText(nil, event.Enum(hostile)))
	launch(t, p.connect("pub", "x"+hostile, hostile, "string:"+hostile, e, "["+e+"]")...).exits(exitOK)
	text.exits(exitOK)
	js.exits(exitOK)
	for _, out := range []string{text.out.String(), js.out.String()} {
		if !safe(out) || strings.Count(out, "\n") != 1 {
			t.Errorf("not for a terminal: %q", out)
		}
	}
	var l line
	if err := json.Unmarshal([]byte(js.out.String()), &l); err != nil {
		t.Fatal(err)
	}
	if want := jsonString(hostile); l.Topic != "x"+want || l.Event != want || l.Args[0] != want || l.Args[1] != want {
		t.Errorf("JSON changed the text: %q", l)
	}

	bad := launch(t, "sub", "--format", hostile, "x")
	bad.exits(exitUsage)
	if !safe(bad.err.String()) {
		t.Errorf("not for a terminal: %q", bad.err.String())
	}
}

func TestHarmless(t *testing.T) {
	for _, f := range []func(string) string{harmless, printable, ascii} {
		for _, s := range []string{hostile, "", "é ü", "\xff", "\u2028", "\u00a0", "\ufeff"} {
			if got := f(s); !safe(got) || strings.Contains(got, "\n") {
				t.Errorf("%q: %q", s, got)
			}
		}
	}
	for s, want := range map[string]string{"plain": "plain", "é": `"\u00e9"`, "a b": `"a b"`, "": `""`} {
		if got := ascii(s); got != want {
			t.Errorf("ascii %q: %s, want %s", s, got, want)
		}
	}
}

func FuzzHarmlessJSON(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, s string) {
		b, _ := json.Marshal(s)
		var was, is string
		json.Unmarshal(b, &was)
		out := harmlessJSON(b)
		if err := json.Unmarshal(out, &is); err != nil || is != was || !safe(string(out)) {
			t.Errorf("%q: %q %v", s, out, err)
		}
	})
}
