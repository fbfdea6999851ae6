# @TEST-DOC: A program that Zeek runs inherits no descriptor of the backend, the engine, its spill or the broker: no socket, no eventfd, no epoll descriptor but Zeek's own, no file.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
# @TEST-PORT: MANAGER_LOG_PORT
# @TEST-PORT: WEBSOCKET_PORT
#
# @TEST-EXEC: node -d without - alone.zeek
# @TEST-EXEC: wait-for test -e without/inherited
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for test -e manager/ready
# @TEST-EXEC: btest-bg-run client "ws-client $WEBSOCKET_PORT test.ws. >out || true"
# @TEST-EXEC: wait-for grep -q ready client/out
# @TEST-EXEC: touch go
# @TEST-EXEC: wait-for test -e manager/listed -a -e worker-1/listed
# @TEST-EXEC: ls -l /proc/$(cat manager/pid)/fd >manager/open; ls -l /proc/$(cat worker-1/pid)/fd >worker-1/open
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: for f in */inherited; do ! grep -e 'socket:' -e eventfd -e '\.lock' $f || exit 1; test $(grep -c eventpoll $f) = $(grep -c eventpoll without/inherited); done >&2
#
# There was something to inherit.
# @TEST-EXEC: for kind in socket: eventfd eventpoll; do grep -q $kind manager/open && grep -q $kind worker-1/open; done
# @TEST-EXEC: grep -q '\.lock' worker-1/open

# @TEST-START-FILE alone.zeek
event zeek_init()
	{
	system("ls -l /proc/self/fd >new && mv new inherited");
	}
# @TEST-END-FILE

# @TEST-START-FILE common.zeek
@load cluster-test

redef Test::end_on_file = "../over";

function note(name: string, what: string)
	{
	local f = open(name);
	print f, what;
	close(f);
	}

event list()
	{
	if ( file_size("../go") < 0.0 )
		{
		schedule 50msecs { list() };
		return;
		}

	system("ls -l /proc/self/fd >inherited && touch listed");
	}

event zeek_init()
	{
	note("pid", cat(getpid()));
	event list();
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

event Test::everyone_up()
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	note("ready", "");
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::log_overload = Cluster::Backend::ZeroMQ::OVERLOAD_SPILL;
# @TEST-END-FILE
