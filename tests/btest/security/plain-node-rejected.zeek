# @TEST-DOC: A node without keys, or with another client's keys, cannot join an encrypted cluster, and says so and ends.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: zeek -b keys.zeek >keys
# @TEST-EXEC: sh ./run.sh
# @TEST-EXEC: btest-diff outcome

# @TEST-START-FILE keys.zeek
@load policy/frameworks/cluster/backend/zeromq/options

event zeek_init()
	{
	for ( side in set("CLIENT", "SERVER", "OTHER") )
		{
		local pair = Cluster::Backend::ZeroMQ::generate_keypair();
		print fmt("%s_PUBLICKEY='%s'", side, pair["public"]);
		print fmt("%s_SECRETKEY='%s'", side, pair["secret"]);
		}
	}
# @TEST-END-FILE

# @TEST-START-FILE run.sh
set -e
. ./keys
P=ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE
node "${P}_CLIENT_PUBLICKEY=$CLIENT_PUBLICKEY" "${P}_CLIENT_SECRETKEY=$CLIENT_SECRETKEY" \
    "${P}_SERVER_PUBLICKEY=$SERVER_PUBLICKEY" "${P}_SERVER_SECRETKEY=$SERVER_SECRETKEY" manager manager.zeek
wait-for test -s manager/out
node -x worker-1 worker.zeek
node -x "${P}_CLIENT_PUBLICKEY=$OTHER_PUBLICKEY" "${P}_CLIENT_SECRETKEY=$OTHER_SECRETKEY" \
    "${P}_SERVER_PUBLICKEY=$SERVER_PUBLICKEY" worker-2 worker.zeek
wait-for test -e worker-1/rc -a -e worker-2/rc
touch over
btest-bg-wait 60
{
    for w in worker-1 worker-2; do
        echo "$w ended with $(cat $w/rc): $(grep -o 'fatal error.*Handshake.*failed' $w/.stderr | sed 's/.*Handshake/Handshake/; s/socket .* failed/socket ... failed/')"
    done
    cat manager/out
} >outcome
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load cluster-test

redef Test::end_on_file = "../over";

event zeek_init() &priority=-20
	{
	print "ready";
	flush_all();
	}

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load cluster-test
# @TEST-END-FILE
