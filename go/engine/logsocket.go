// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// NewLogSocket makes the PULL of a logger and binds it to listen_log_endpoint.
// With CURVE, [ServeZAP] has to run in the context before. On an error there is
// no socket.
func NewLogSocket(c *cshim.Context, o *options.Options) (*cshim.Socket, error) {
	s, err := newSocket(c, o, cshim.Pull, append(curveServer(o), set(cshim.RcvHWM, "log_rcvhwm", o.LogRcvHWM),
		set(cshim.RcvBuf, "log_rcvbuf", o.LogRcvBuf), set(cshim.Linger, "", 0)))
	if err != nil {
		return nil, err
	}
	if err := s.Bind(o.ListenLogEndpoint); err != nil {
		s.Close()
		return nil, &EndpointError{"bind pull", "listen_log_endpoint", o.ListenLogEndpoint, err}
	}
	return s, nil
}
