// SPDX-License-Identifier: BSD-3-Clause

package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// An Option changes how a node is made.
type Option func(*config) error

type config struct {
	opts         options.Options
	log          *slog.Logger
	format       event.Format
	readyTimeout time.Duration
	expiration   time.Duration
	up, down     func(Peer)
	subscription func(topic string, subscribed bool)
}

func newConfig() config {
	c := config{
		opts:         options.Default(),
		log:          slog.Default(),
		format:       event.BrokerBinV1,
		readyTimeout: 10 * time.Second,
		expiration:   10 * time.Second,
	}
	// A caller in Go can wait, and learns from an error what was not sent.
	c.opts.XPubOverload = options.Block
	c.opts.LogOverload = options.Block
	return c
}

// Set sets an option of the module Cluster::Backend::ZeroMQ by its name, such as
// "xpub_sndhwm"; see package [options] for all of them, their units and ranges.
// An option that is a list takes one more element with each Set. The defaults
// are Zeek's, but for xpub_overload and log_overload, which are "block".
func Set(name, value string) Option {
	return func(c *config) error { return c.opts.Set(name, value) }
}

// WithOptions replaces all options of the table by those given.
func WithOptions(o options.Options) Option {
	return func(c *config) error {
		c.opts = o
		return nil
	}
}

// Broker says where the central broker is, with its default ports: 5555 and
// 5556. host is a name or an address; IPv6 addresses may be in brackets. Without
// it the broker is on 127.0.0.1.
func Broker(host string) Option {
	return func(c *config) error {
		if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			host = "[" + host + "]"
		}
		if strings.HasPrefix(host, "[") {
			c.opts.IPv6 = true
		}
		return errors.Join(
			c.opts.Set("connect_xsub_endpoint", "tcp://"+host+":5555"),
			c.opts.Set("connect_xpub_endpoint", "tcp://"+host+":5556"))
	}
}

// Endpoints says where the central broker is: xsub is the endpoint of its XPUB,
// from which events come (connect_xsub_endpoint, port 5555 by default), xpub
// that of its XSUB, to which they go (connect_xpub_endpoint, 5556).
func Endpoints(xsub, xpub string) Option {
	return func(c *config) error {
		return errors.Join(c.opts.Set("connect_xsub_endpoint", xsub), c.opts.Set("connect_xpub_endpoint", xpub))
	}
}

// Curve encrypts the connections: with the broker's public key, and a key pair
// that the broker allows. Keys are Z85 text of 40 characters.
func Curve(serverPublic, clientPublic, clientSecret string) Option {
	return func(c *config) error {
		c.opts.CurveServerPublicKey = serverPublic
		c.opts.CurveClientPublicKey, c.opts.CurveClientSecretKey = clientPublic, clientSecret
		if !c.opts.CurveClient() {
			return errors.New("node: CURVE takes three keys: the broker's public key, and a key pair of the node's")
		}
		return c.opts.CheckKeys()
	}
}

// CurveFromEnvironment takes the keys of [Curve] from the variables that Zeek's
// nodes read, ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_PUBLICKEY and
// ..._CURVE_CLIENT_PUBLICKEY and _SECRETKEY. Without any of them nothing is
// encrypted.
func CurveFromEnvironment() Option {
	return func(c *config) error { return KeysFromEnvironment(&c.opts) }
}

// KeysFromEnvironment sets the CURVE keys in o that the environment has. A key
// that both have is an error, as it is in Zeek.
func KeysFromEnvironment(o *options.Options) error {
	for _, k := range []struct {
		name string
		key  *string
	}{
		{"curve_server_publickey", &o.CurveServerPublicKey},
		{"curve_server_secretkey", &o.CurveServerSecretKey},
		{"curve_client_publickey", &o.CurveClientPublicKey},
		{"curve_client_secretkey", &o.CurveClientSecretKey},
	} {
		variable := "ZEEK_CLUSTER_BACKEND_ZEROMQ_" + strings.ToUpper(k.name)
		switch value := os.Getenv(variable); {
		case value == "":
		case *k.key != "":
			return fmt.Errorf("%s is given both as an option and in the environment (%s)", k.name, variable)
		default:
			*k.key = value
		}
	}
	return o.CheckKeys()
}

// Logger says where warnings go: losses, once when they begin and once with
// their number when they are over, and connections that fail. The default is
// [slog.Default]; nil stands for it.
func Logger(l *slog.Logger) Option {
	return func(c *config) error {
		if l != nil {
			c.log = l
		}
		return nil
	}
}

// Format is the format in which events are published; [event.BrokerBinV1] by
// default. It must be that of the cluster's nodes. Received are both.
func Format(f event.Format) Option {
	return func(c *config) error {
		_, err := event.ParseFormat(f.String())
		c.format = f
		return err
	}
}

// ReadyTimeout bounds how long Publish waits for the connection to the broker,
// beside its context; 10 seconds by default, which 0 stands for.
func ReadyTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d < 0 {
			return fmt.Errorf("node: a ready timeout of %v", d)
		}
		if d > 0 {
			c.readyTimeout = d
		}
		return nil
	}
}

// HelloExpiration is how long a node that was seen from one side only is
// remembered before a warning; 10 seconds by default, as Zeek's hello_expiration.
func HelloExpiration(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("node: a hello expiration of %v", d)
		}
		c.expiration = d
		return nil
	}
}

// OnNodeUp has f called when another member has come up. Members of a cluster
// only, see [Join]. f runs on the node's goroutine and must not wait, nor call
// Publish or Close.
func OnNodeUp(f func(Peer)) Option {
	return func(c *config) error {
		c.up = f
		return nil
	}
}

// OnNodeDown has f called when another member is gone, as [OnNodeUp] does.
func OnNodeDown(f func(Peer)) Option {
	return func(c *config) error {
		c.down = f
		return nil
	}
}

// OnSubscription has f called for every subscription in the cluster that
// appears (one that is there already, too, when the node connects), and for the
// end of a topic's last one. The node's own are among them. As with [OnNodeUp], f
// must not wait.
func OnSubscription(f func(topic string, subscribed bool)) Option {
	return func(c *config) error {
		c.subscription = f
		return nil
	}
}
