# @TEST-DOC: Waits and drops in front of the queue to the engine are told once when they begin, and once, with their number, when there were none for a while or the process ends; the next ones are told anew.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -x -d broker - broker.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for test -e worker-1/ready
# @TEST-EXEC: sh -e ./rounds.sh
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: sh -e ./compare.sh

# @TEST-START-FILE rounds.sh
broker=$(cat broker/pid)
kill -STOP $broker
touch stopped-1
wait-for test -e worker-1/burst-1
# Nothing else wakes the main loop meanwhile: the engine still waits.
wait-for grep -q "events were dropped: the queue to the engine was full" worker-1/.stderr
wait-for grep -q "times an event waited for the engine" worker-1/.stderr
kill -CONT $broker
wait-for grep -q "xpub: events waited" worker-1/.stderr
kill -STOP $broker
touch stopped-2
wait-for test -e worker-1/rc
kill -CONT $broker
kill $broker
# @TEST-END-FILE

# @TEST-START-FILE compare.sh
told() { sed -n "s/.*ZeroMQ: $1.*/\1/p" worker-1/.stderr; }
sum() { told "$1" | awk '{ s += $1 } END { printf "%d\n", s }'; }
drops="\([0-9]*\) events were dropped: the queue to the engine was full"
waits="\([0-9]*\) times an event waited for the engine, and Zeek's main loop with it, for [0-9]*\.[1-9] seconds in all"
for pair in "\(dropped an event\) for topic 'test.events': the queue to the engine is full" \
    "\(an event waits\) for the engine, and Zeek's main loop with it" "$drops" "$waits"; do
    test $(told "$pair" | wc -l) = 2 || { echo "not twice: $pair"; cat worker-1/.stderr; exit 1; } >&2
done
test "$(sum "$drops") $(sum "$waits")" = "$(cat worker-1/out)"
# @TEST-END-FILE

# @TEST-START-FILE broker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;
redef Cluster::Backend::ZeroMQ::heartbeat_interval = 0secs;
redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 20;
redef Cluster::Backend::ZeroMQ::xpub_sndbuf = 4096;
redef Cluster::Backend::ZeroMQ::xpub_overload = Cluster::Backend::ZeroMQ::OVERLOAD_BLOCK;
redef Cluster::Backend::ZeroMQ::overload_block_limit = 300msecs;

global datum: event(data: string);
global data = Test::text(20000);
global rounds = 0;

function note(name: string)
	{
	local f = open(name);
	close(f);
	}

event zeek_init()
	{
	# Ours never come back to us, but they are sent to the broker.
	Cluster::subscribe("test.");
	}

event look()
	{
	if ( file_size(fmt("../stopped-%d", rounds + 1)) < 0.0 )
		{
		schedule 50msecs { look() };
		return;
		}

	local dropped = 0;
	while ( dropped < 10 )
		if ( ! Cluster::publish("test.events", datum, data) )
			++dropped;

	note(fmt("burst-%d", ++rounds));

	if ( rounds < 2 )
		{
		schedule 50msecs { look() };
		return;
		}

	print fmt("%.0f %.0f", Test::counter("cluster_zeromq_queue_drops_total"),
	    Test::counter("cluster_zeromq_publish_blocks_total"));
	terminate();
	}

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( topic != "test." )
		return;

	note("ready");
	event look();
	}
# @TEST-END-FILE
