// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// NewTapSocket makes an XSUB that is connected to connect_xsub_endpoint, for a
// program that counts what it receives. It holds up to tapHWM events for it:
// when more wait, the broker waits, and with it the cluster. The socket is the
// calling goroutine's. On an error there is none.
func NewTapSocket(c *cshim.Context, o *options.Options) (*cshim.Socket, error) {
	s, err := newSocket(c, o, cshim.XSub, append(curveClient(o), set(cshim.SndHWM, "", 0), set(cshim.RcvHWM, "", tapHWM),
		set(cshim.Linger, "", 0)))
	if err != nil {
		return nil, err
	}
	if err := s.Connect(o.ConnectXSubEndpoint); err != nil {
		s.Close()
		return nil, &EndpointError{"connect xsub", "connect_xsub_endpoint", o.ConnectXSubEndpoint, err}
	}
	return s, nil
}

const tapHWM = 100000
