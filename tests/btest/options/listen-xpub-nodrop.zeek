# @TEST-DOC: A node that has stopped reading holds the others up if the broker's listen_xpub_nodrop is T, and only loses what was for itself if it is F.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: sh ./run-with-stopped-node.sh F >without-nodrop
# @TEST-EXEC: btest-diff without-nodrop
# @TEST-EXEC: sh ./run-with-stopped-node.sh T >with-nodrop
# @TEST-EXEC: btest-diff with-nodrop

# @TEST-START-FILE run-with-stopped-node.sh
# Prints how far the manager got with worker-2 stopped.
set -e
rm -f stopped
node -d manager-$1 manager node.zeek Cluster::Backend::ZeroMQ::listen_xpub_nodrop=$1
node -x -d reading-$1 worker-1 node.zeek
node -x -d stopped-$1 worker-2 node.zeek
wait-for test -e manager-$1/ready
kill -STOP $(cat stopped-$1/pid)
touch stopped
wait-for -t 80 test -e manager-$1/rc
kill -9 $(cat stopped-$1/pid) $(cat reading-$1/pid)
wait-for test -e stopped-$1/rc -a -e reading-$1/rc
cat manager-$1/out
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test

# Or the stopped node would be taken for dead before long.
@ifdef ( Cluster::Backend::ZeroMQ::heartbeat_interval )
redef Cluster::Backend::ZeroMQ::heartbeat_interval = 0secs;
@endif

global chunk: event(round: count, data: string);
global ack: event(round: count);

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1", "worker-2" };

const rounds = 1000;
const per_round = 10;
global data = "";
global last_ack = 0;

function send(round: count)
	{
	local i = 0;

	while ( ++i <= per_round )
		Cluster::publish(Cluster::worker_topic, chunk, i == per_round ? round : 0, data);
	}

event look(seen: count)
	{
	if ( zeek_is_terminating() )
		return;

	if ( last_ack == seen )
		{
		print "held up";
		terminate();
		}
	else
		schedule 5secs { look(last_ack) };
	}

event wait_for_stop()
	{
	if ( file_size("../stopped") < 0.0 )
		{
		schedule 50msecs { wait_for_stop() };
		return;
		}

	send(1);
	schedule 5secs { look(0) };
	}

event Test::everyone_up()
	{
	data = Test::text(20000);
	local f = open("ready");
	close(f);
	event wait_for_stop();
	}

event ack(round: count)
	{
	last_ack = round;

	if ( round == rounds )
		{
		print "all rounds done";
		terminate();
		}
	else
		send(round + 1);
	}
@else
event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}

event chunk(round: count, data: string)
	{
	if ( round > 0 && Cluster::node == "worker-1" )
		Cluster::publish(Cluster::manager_topic, ack, round);
	}
@endif
# @TEST-END-FILE
