// SPDX-License-Identifier: BSD-3-Clause

package testkit

import (
	"os"
	"os/exec"
	"testing"
)

const childVariable = "ZEEKZMQ_TEST_CHILD"

// InChild runs the rest of the calling test in a process of its own, for tests
// after which a process is of no more use. In the parent it returns false once
// the child has passed.
func InChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}
