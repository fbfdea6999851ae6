// SPDX-License-Identifier: BSD-3-Clause

package options_test

import (
	"testing"

	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestTableDescribesOptionsThatExist(t *testing.T) {
	byName := map[string]options.Info{}
	for _, info := range options.Table() {
		byName[info.Name] = info
		value := info.Default
		if value == "" {
			continue
		}
		if o := options.Default(); o.Set(info.Name, value) != nil {
			t.Errorf("%s: its own default %q is refused", info.Name, value)
		}
	}
	if n := len(byName); n != 29 {
		t.Errorf("%d options are described, want 29: is one misspelt?", n)
	}
	if i := byName["curve_client_secretkey"]; !i.Secret {
		t.Errorf("%+v is not secret", i)
	}
	if i := byName["heartbeat_timeout"]; !i.Time || i.Default != "6" {
		t.Errorf("%+v", i)
	}
	if i := byName["connect_log_endpoints"]; !i.List {
		t.Errorf("%+v", i)
	}
}
