// SPDX-License-Identifier: BSD-3-Clause

// Package vectors loads the messages in tests/vectors, which were recorded from a real Zeek, for tests of the packages
// that read and write them.
package vectors

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A Message is one recorded message.
type Message struct {
	What    string // the value as written in the script that sent it
	Topic   string
	Sender  string // node id
	Format  string
	Payload []byte
}

// Load reads one of the files of tests/vectors, such as "bin-events.json", in the order of recording.
func Load(tb testing.TB, name string) []Message {
	tb.Helper()
	var raw []struct {
		What  string
		Parts []string
	}
	if err := json.Unmarshal(File(tb, name), &raw); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	var ms []Message
	for _, r := range raw {
		if len(r.Parts) != 4 {
			tb.Fatalf("%s: %q has %d parts, want 4", name, r.What, len(r.Parts))
		}
		payload, err := hex.DecodeString(r.Parts[3])
		if err != nil {
			tb.Fatalf("%s: %q: %v", name, r.What, err)
		}
		ms = append(ms, Message{r.What, r.Parts[0], r.Parts[1], r.Parts[2], payload})
	}
	return ms
}

// File returns the content of one of the files of tests/vectors.
func File(tb testing.TB, name string) []byte {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../tests/vectors", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
