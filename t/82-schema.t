#!/usr/bin/env perl

# docs/api.schema.json against what is answered: all documents, of an instance
# that has something to tell in each of their members.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use JSON::PP ();
use Test::More;
use Helix;

my $python = '/usr/bin/python3';

plan skip_all => 'no python3-jsonschema'
    if system("$python -c 'import jsonschema' 2>/dev/null") != 0;

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy %%POLICY%%;
    %%TEST_GLOBALS_HTTP%%

    helix_batch size=4 delay=1ms;
    helix_explain on;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /any {
            helix_pass;
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END

my $schema = "$FindBin::Bin/../docs/api.schema.json";
my ($t, @documents, %seen);

for my $policy (qw(threshold predictive)) {
    $t = Helix->new;
    $t->conf($conf =~ s/%%POLICY%%/$policy/r);
    $t->start;

    @documents = ();
    %seen = ();

    traffic();
    reads();
    writes();

    check($policy);

    $t->done;
}


sub traffic {
    for (qw(inline spawn cpu_pool batch drop)) {
        $t->get("/jobs?kind=hashmix&cost=1000&budget_ms=1000&s=$_");
    }

    $t->get('/jobs?kind=hashmix&inputs=x');
    $t->get('/jobs?kind=none');

    take(job => $t->get('/any?kind=primecount&cost=20000&explain=1'));
    take(job => $t->get('/any?kind=hashmix&bigint=string'));
    take(problem => $t->get('/jobs?kind=hashmix&s=drop&explain=1'));
    take(problem => $t->post('/any', '{"kind":"hashmix"'));
    take(problem => $t->get('/any?kind=hashmx'));

    $t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'all have ended');
}


sub reads {
    take(stats => $t->get('/helix/api/stats'));
    take(health => $t->get('/helix/health'));
    take(decisions => $t->get('/helix/api/decisions'));
    take(config => $t->get('/helix/api/config?history=1'));

    $t->wait_for(sub { $t->get('/helix/api/history')->json->{n} > 0 },
                 'a point of the history');

    take(history => $t->get("/helix/api/history?step=$_")) for 1, 60;

    take(problem => $t->get('/helix/api/none'));
    take(problem => $t->post('/helix/api/stats', '{}'));
    take(explain => $t->post('/helix/api/explain',
                             '{"kind":"hashmix","cost":100000000}'));

    events();
}


sub events {
    my $c = $t->connect;

    $c->send("GET /helix/api/stream/decisions?stats=1 HTTP/1.1\r\n"
             . "Host: localhost\r\n\r\n");

    # the reader is there before what it is told

    my $text = $c->read_until(qr/^event: hello\ndata: .*?\n\n/ms);

    $t->get('/any?kind=hashmix&cost=1000');
    change(PATCH => '/config', '{"batch_max_size":5}');

    for my $what (qw(config done stats)) {
        while ($text !~ /^event: $what\n(?:.+\n)+\n/m) {
            $text .= $c->read_until(qr/\n\n/)
                     // die "no event: $what";
        }
    }

    $c->close;

    while ($text =~ /^(?:event: (\w+)\n)?data: (\{.*\})$/mg) {
        my $name = $1 ? "event_$1" : 'decision';

        push @documents, [$name, $2];
        $seen{$name}++;
    }

    ok($seen{$_}, "an event: $_")
        for qw(event_hello event_done event_stats event_config decision);
}


sub writes {
    take(config => change(PATCH => '/config', '{"batch_max_delay_ms":3}'));
    take(config => $t->get('/helix/api/config?history=1'));
    take(problem => change(PATCH => '/config', '{"batch_max_size":1,"x":2}'));
    take(problem => change(PATCH => '/config', '{}', 'If-Match' => '"0"'));
    take(config => change(DELETE => '/config'));

    take(telemetry => change(POST => '/telemetry',
                             '{"pressure":0.5,"source":"test"}'));
    take(simulate => change(POST => '/simulate', '{"jobs":5,"rate":1000}'));
    take(stats => $t->get('/helix/api/stats'));

    $t->wait_for(sub { $t->stats->{in_flight} == 0 }, 'all have ended');

    take(reset => change(POST => '/reset', '{}'));
}


sub change {
    my ($method, $path, $body, @headers) = @_;

    return $t->request($method, "/helix/api$path", $body // '',
                       'Content-Type' => 'application/json', @headers);
}


sub take {
    my ($name, $answer) = @_;

    my $n = ++$seen{$name};

    like($answer->header('Content-Type') // '',
         $answer->status < 400 ? qr|^application/json$|
                               : qr|^application/problem\+json$|,
         "$name $n: type");

    push @documents, [$name, $answer->body];
}


# As the schema says, and every document that it has was seen.

sub check {
    my ($policy) = @_;

    my $file = $t->write('documents', join '', map {
        "$_->[0] " . $_->[1] =~ s/\s+\z//r . "\n"
    } @documents);

    my $out = qx($python $FindBin::Bin/lib/schema.py $schema < $file 2>&1);

    is($?, 0, 'the schema is one');
    is($out, '', "$policy: all documents are as it says");

    open my $fh, '<', $schema or die "$schema: $!";

    my $defs = JSON::PP->new->decode(do { local $/; <$fh> })->{'$defs'};
    my %named = map { $_ => 1 }
                grep { ($defs->{$_}{description} // '')
                       =~ /^(?:GET|POST|an event|the event|the answer|any)/ }
                keys %$defs;

    delete $named{$_} for qw(event_gap event_bye);

    is(join(' ', sort grep { !$seen{$_} } keys %named), '',
       "$policy: all of its documents were seen");
}
