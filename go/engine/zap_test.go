// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// Whatever is asked of it, the handler answers as RFC 27 says, and lets in
// those alone that show an allowed key.
func TestZAPAnswers(t *testing.T) {
	public, _, err := cshim.Keypair()
	if err != nil {
		t.Fatal(err)
	}
	key, err := cshim.Z85Decode(public)
	if err != nil {
		t.Fatal(err)
	}
	z := &zapHandler{}
	if err := z.allow(public); err != nil {
		t.Fatal(err)
	}
	request := func(mechanism string, credentials ...string) []string {
		return append([]string{"1.0", "id", "", "127.0.0.1", "", mechanism}, credentials...)
	}
	other := "\x00" + string(key[1:31]) + "\x00"
	for _, c := range []struct {
		name    string
		request []string
		code    string
	}{
		{"right key", request("CURVE", string(key)), "200"},
		{"other key", request("CURVE", other), "400"},
		{"short key", request("CURVE", string(key[:31])), "400"},
		{"long key", request("CURVE", string(key)+"x"), "400"},
		{"no key", request("CURVE"), "400"},
		{"no encryption", request("NULL"), "400"},
		{"password", request("PLAIN", "user", string(key)), "400"},
		{"one part", []string{"1.0"}, "400"},
		{"empty", []string{""}, "400"},
		{"nothing", nil, "400"},
	} {
		var parts [][]byte
		for _, p := range c.request {
			parts = append(parts, []byte(p))
		}
		got := z.answer(parts)
		if len(got) != 6 || string(got[0]) != "1.0" || string(got[2]) != c.code {
			t.Errorf("%s: %q, want the code %s", c.name, got, c.code)
			continue
		}
		if len(parts) > 1 {
			if diff := cmp.Diff("id", string(got[1])); diff != "" {
				t.Errorf("%s: request id (-want +got):\n%s", c.name, diff)
			}
		}
	}
	if err := z.allow("not a key"); err == nil {
		t.Error("not a key, and yet allowed")
	}
}
