#!/usr/bin/env perl

# Too much of everything: slow clients, descriptors, connections, temporary
# files, resets, jobs that are dropped, and hostile contents of fields.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);
use Helix;

use constant FOREVER => 8_000_000_000_000_000;

my $binary = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my $python = '/usr/bin/python3';

my $version = `$binary -V 2>&1`;
my ($minor) = $version =~ m|^nginx version: \S+?/1\.(\d+)|;
my $v2 = $version =~ /http_v2_module/
         && system("$python -c 'import h2' 2>/dev/null") == 0;

my $listen = !$v2 ? 'listen 127.0.0.1:%%PORT_1%%;'
             : ($minor // 99) < 25 ? 'listen 127.0.0.1:%%PORT_1%% http2;'
             : 'listen 127.0.0.1:%%PORT_1%%; http2 on;';

my $t = Helix->new(timeout => 10);


sub conf {
    my (%args) = @_;

    my $main = $args{main} // '';
    my $pool = $args{pool} // 'concurrency=1 queue=1';
    my $connections = $args{connections} // 4096;

    $t->conf(<<"END");
%%TEST_GLOBALS%%

worker_processes 1;
$main

events {
    worker_connections $connections;
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format record escape=none '\$helix_result|\$helix_kind|\$helix_id|'
                                  '\$helix_reason|\$helix_json';
    access_log %%DIR%%/logs/record.log record;

    helix_zone helix;
    helix_pool jobs threads=2 $pool busy=off;
    helix_batch size=2 delay=5ms;
    helix_adapt off;
    helix_kind hashmix max_cost=9000000000000000;
    helix_headers timing;

    keepalive_requests 1000000;
    client_body_buffer_size 1k;

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=2048;
        $listen

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /impatient { helix_pass hashmix;
                             client_body_timeout 1s;
                             helix_job strategy=cpu_pool final; }
        location /jobs     { helix_pass; }
        location /probe    { access_log off; return 204; }
        location /scrape   { access_log off; helix_status prometheus; }
        location /helix    { access_log off; helix_status; }
    }
}
END
}


sub idle {
    my ($s) = @_;

    return $s && $s->{in_flight} == 0 && $s->{pool}{busy} == 0
           && !grep { $s->{strategies}{$_}{waiting} } qw(spawn cpu_pool batch);
}


sub until_true {
    my ($what, $code, $seconds) = @_;

    my $s;

    ok($t->wait_for(sub { $s = eval { $t->stats }; $s && $code->($s) },
                    $what, $seconds), $what)
        or diag(explain({ map { $_ => $s->{$_} }
                          qw(in_flight cancelled completed admitted pool) }));

    return $s;
}


sub balanced {
    my ($what) = @_;

    my $s = until_true("$what: idle", \&idle);

    is_deeply([ Helix::imbalance($s, 1) ], [], "$what: the books balance");

    return $s;
}


sub post {
    my ($path, $body) = @_;

    return Helix::message('POST', $path, $body,
                          'Content-Type' => 'application/json');
}


sub median { (sort { $a <=> $b } @_)[@_ / 2] }


# Half of them send a header, half a body, byte by byte.

sub slow_clients {
    my $n = 1000;
    my $body = '{"inputs":[' . join(',', 1 .. 30) . ']}';
    my $message = post('/cpu_pool', $body);
    my $head = length($message) - length $body;

    my (@c, @sent);

    for my $i (0 .. $n - 1) {
        push @c, $t->connect;
        push @sent, $i % 2 ? $head + 1 : 20;
        $c[$i]->send(substr $message, 0, $sent[$i]);
    }

    my $before = $t->stats;
    my $normal = $t->connect;
    my ($held, %statuses, @times) = (0);

    for my $round (1 .. 20) {
        for my $i (0 .. $n - 1) {
            $c[$i]->send(substr $message, $sent[$i]++, 1);
        }

        my $s = $t->stats;

        $held++ if !idle($s) || $s->{received} != $before->{received}
                                                  + $round - 1;

        my $start = time;
        my $r = $normal->request('GET', '/cpu_pool?inputs=1');

        push @times, time - $start;
        $statuses{$r ? $r->status : 'none'}++;
    }

    is($held, 0, 'slow clients hold no place and no token');
    is_deeply(\%statuses, { 200 => 20 }, 'slow clients: jobs are served');
    note(sprintf 'beside %d slow clients: median %.2f ms', $n,
         1000 * median(@times));

    # some come to the end

    for my $i (0 .. 9) {
        $c[$i]->send(substr $message, $sent[$i]);

        my $r = $c[$i]->recv;

        is($r && $r->status, 200, 'a slow client is served in the end');
    }

    $_->rst for @c;

    my $s = balanced('slow clients');

    is($s->{received} - $before->{received}, 30,
       'slow clients: only complete jobs were received');

    # one that is too slow

    my $c = $t->connect;

    $c->send(substr post('/impatient', $body), 0, -10);

    my $r = $c->recv;

    ok(!$r || $r->status == 408, 'a body that does not come: timed out');
    is($t->stats->{received}, $s->{received}, 'and was never a job');

    return;
}


sub descriptors {
    conf(main => 'worker_rlimit_nofile 48;');
    ok($t->reload, 'few descriptors');

    my $body = '{"inputs":[' . join(',', 1 .. 1000) . ']}';
    my $log = length $t->read('logs/error.log');
    my $c = $t->connect;

    is($c->request('GET', '/cpu_pool?inputs=1')->status, 200, 'a job');

    my $r = $c->request('POST', '/cpu_pool', $body,
                        'Content-Type' => 'application/json');
    is($r->status, 200, 'a body in a file');

    my @many = map { $t->connect } 1 .. 100;

    ok($t->wait_for(sub {
        substr($t->read('logs/error.log'), $log)
            =~ /accept4?\(\) failed \(24: /
    }), 'no descriptor is left');

    # who is inside is served still, if it takes no file

    for my $lane (qw(inline spawn cpu_pool batch)) {
        $r = $c->request('GET', "/$lane?inputs=1");
        is($r && $r->status, 200, "no descriptors: $lane");
    }

    # what was closed meanwhile, the next connection takes

    my ($worker) = $t->workers;

    ok($t->wait_for(sub { !grep { !-l "/proc/$worker/fd/$_" } 0 .. 47 },
                    'the last descriptor'), 'none is left again');

    $r = $c->request('POST', '/cpu_pool', $body,
                     'Content-Type' => 'application/json');

    is($r && $r->status, 500, 'no descriptor for a body');

    $c->close;
    $_->rst for @many;

    ok($t->wait_for(sub {
        my $r = eval { $t->post('/cpu_pool', $body) };
        $r && $r->status == 200
    }), 'descriptors are back');

    balanced('descriptors');

    return;
}


sub connections {
    conf(connections => 24, pool => 'concurrency=2 queue=100');
    ok($t->reload, 'few connections');

    $t->expect_alert(qr/worker_connections are not enough/);

    my $log = length $t->read('logs/error.log');
    my @c;

    for (1 .. 40) {
        push @c, $t->connect;
        $c[-1]->send(Helix::message('GET', '/cpu_pool?inputs=1&compute_cost='
                                           . FOREVER));
    }

    ok($t->wait_for(sub {
        substr($t->read('logs/error.log'), $log)
            =~ /worker_connections are not enough/
    }), 'no connection is left');

    $_->rst for @c;

    until_true('connections are back', \&idle);
    is($t->get('/cpu_pool?inputs=1')->status, 200, 'and a job is served');
    balanced('connections');

    return;
}


sub temporary_files {
    my $dir = $t->dir . '/client_body_temp';
    my $body = '{"inputs":[' . join(',', 1 .. 1000) . ']}';

    conf();
    ok($t->reload, 'a path for bodies');
    is($t->post('/cpu_pool', $body)->status, 200, 'a body in a file');

    my $s = $t->stats;

    rename $dir, "$dir.gone" or die "$dir: $!";

    for (1 .. 5) {
        my $r = $t->post('/cpu_pool', $body);

        is($r->status, 500, 'no path for a body');
        is($r->header('X-Helix-Job'), undef, 'and it never was a job');
    }

    is($t->post('/cpu_pool', '{"inputs":[1]}')->status, 200,
       'one that needs no file is served');

    rename "$dir.gone", $dir or die "$dir: $!";

    is($t->post('/cpu_pool', $body)->status, 200, 'the path is back');
    is($t->stats->{received} - $s->{received}, 2,
       'no path: nothing was received but what was served');
    balanced('temporary files');

    return;
}


# Times of a normal client, in s.

sub normal {
    my ($seconds, $paths) = @_;

    my $c = $t->connect;
    my $end = time + $seconds;
    my ($i, $bad, @times) = (0, 0);

    while (time < $end) {
        my $path = $paths->[$i++ % @$paths];
        my $start = time;
        my $r = $c->request('GET', $path);

        if (!$r) {
            $bad++;
            $c = $t->connect;
            next;
        }

        $bad++ if $r->status !~ /^20/;
        push @times, time - $start;
        sleep(0.002);
    }

    return ($bad, @times);
}


sub resets {
    my $end = time + 3;

    while (time < $end) {
        my $child = open2(my $in, my $out, $python,
                          "$FindBin::Bin/lib/h2.py", $t->port(1));

        for (1 .. 20) {
            syswrite $out, 'burst /cpu_pool?inputs=1&compute_cost=1000000 '
                           . "100\n";

            my $line = <$in>;

            last if !defined $line || $line !~ /^ok/ || time > $end;
        }

        syswrite $out, "rst\n";
        close $out;
        waitpid $child, 0;
    }

    return;
}


sub rapid_reset {
  SKIP: {
    skip 'no HTTP/2', 6 if !$v2;

    conf(pool => 'concurrency=1 queue=50');
    ok($t->reload, 'HTTP/2');

    my @paths = ('/probe', '/inline?inputs=1');
    my (undef, @base) = normal(1, \@paths);
    my $before = $t->stats;

    my $pid = fork // die;

    if ($pid == 0) {
        resets();
        POSIX::_exit(0);
    }

    my ($bad, @times) = normal(2.5, \@paths);

    waitpid $pid, 0;

    my $s = balanced('rapid reset');
    my $n = $s->{received} - $before->{received};

    cmp_ok($n, '>', 500, 'rapid reset: jobs have come');
    is($bad, 0, 'rapid reset: normal clients are served');

    my ($idle, $loaded) = (median(@base), median(@times));

    note(sprintf 'rapid reset: median %.2f ms alone, %.2f ms beside %d resets',
         1000 * $idle, 1000 * $loaded, $n);

    cmp_ok($loaded, '<', 10 * ($idle > 0.002 ? $idle : 0.002),
           'rapid reset: the median of normal clients');
  }

    return;
}


# A client that asks again at once; counts what it is told.

sub flood_client {
    my ($seconds) = @_;

    pipe my $in, my $out or die;

    my $pid = fork // die;

    return [ $pid, $in ] if $pid;

    close $in;

    my $end = time + $seconds;
    my (%n, @c);

    @c = map { $t->connect } 1 .. 8;

    while (time < $end) {
        my $lane = rand() < 0.8 ? 'cpu_pool' : 'spawn';

        $_->send(Helix::message('GET', "/$lane?inputs=1&compute_cost="
                                       . 20_000_000)) for @c;

        for (@c) {
            my $r = $_->recv;

            $n{$r ? $r->status : 'none'}++;
            $n{bad}++ if !$r || ($r->status == 503
                         && (($r->json->{reason} // '') ne 'queue_full'
                             || ($r->header('Retry-After') // '')
                                !~ /^[1-9]\d*$/));
        }
    }

    print $out join ' ', %n;
    close $out;

    POSIX::_exit(0);
}


sub flood {
    conf();
    ok($t->reload, 'a tiny pool');

    my (undef, @base) = normal(1, [ '/cpu_pool?inputs=1' ]);
    my $before = balanced('before the flood');
    my @clients = map { flood_client(3) } 1 .. 3;
    my $answers = 0;
    my %n;

    my $end = time + 2;

    while (time < $end) {
        $answers++ if $t->get('/helix/health')->status == 200;
        sleep(0.05);
    }

    for (@clients) {
        my ($pid, $in) = @$_;

        local $/;
        my %told = split ' ', <$in> // '';

        waitpid $pid, 0;
        $n{$_} += $told{$_} for keys %told;
    }

    my $ended = time;

    cmp_ok($answers, '>', 5, 'flood: the status answers');
    is(join(' ', grep { !/^(?:200|503)$/ } keys %n), '',
       'flood: all are served, or refused with a reason and Retry-After')
        or diag(explain(\%n));

    my $s = balanced('flood');

    is($s->{dropped} - $before->{dropped}, $n{503}, 'flood: all 503 counted');
    is($s->{completed} - $before->{completed}, $n{200},
       'flood: all 200 counted');
    cmp_ok($n{503}, '>', 100, 'flood: it was one');

    # service as before

    my ($bad, @times);

    ok($t->wait_for(sub {
        ($bad, @times) = normal(0.3, [ '/cpu_pool?inputs=1' ]);

        return !$bad && @times > 5
               && median(@times) < 2 * median(@base) + 0.002;
    }, 'service as before', 5), 'flood: recovered');

    note(sprintf 'flood: %d refused, %d served; median %.2f ms before, '
         . '%.2f ms %.1f s after', $n{503}, $n{200}, 1000 * median(@base),
         1000 * median(@times), time - $ended);

    return;
}


# What clients write into fields

my @evil = (
    "x\r\nX-Evil: 1\r\n\r\nevil", "x\nevil", "x\0evil", "\0",
    '"', "'", '\\', '"}', '","evil":"1', '\\u0000\\n', '<script>', '%0a',
    "x\x1b[31mevil", "\x7f\x01\x1f\t\b", "\xff\xfe\xc0\x80",
    "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x80\xa8evil",
    "\xc2\x85evil", '%s%n%V%p%ui', '$helix_json ${evil}', 'helix: evil',
    "evil\"} 1\nevil{kind=\"evil", 'k' x 70, 'evil' x 500,
    '9' x 400, '18446744073709551616', '-1',
);

my @fields = qw(id kind inputs compute_cost scaling_potential
                latency_budget_ms evil);

my $json = JSON::PP->new->utf8->allow_bignum;
my $latin1 = JSON::PP->new->allow_nonref->latin1;
my @close = (Connection => 'close');
my @json_type = (@close, 'Content-Type' => 'application/json');
my @form_type = (@close,
                 'Content-Type' => 'application/x-www-form-urlencoded');


sub escape { join '', map { sprintf '%%%02x', ord } split //, $_[0] }


# Every way to say it: [name, request] ...

sub hostile_requests {
    my ($i) = @_;

    my $text = $evil[$i];
    my @r;

    (my $raw = $text) =~ s/([\\"])/\\$1/g;

    for my $field (@fields) {
        my $pairs = ($field eq 'kind' ? 'inputs=1' : 'kind=hashmix')
                    . "&$field=" . escape($text);
        my $rest = $field eq 'kind' ? '"inputs":[1]' : '"kind":"hashmix"';

        push @r, [ "$i $field, query",
                   Helix::message('GET', "/jobs?$pairs", undef, @close) ],
                 [ "$i $field, form",
                   Helix::message('POST', '/jobs', $pairs, @form_type) ],
                 map { [ "$i $field, JSON",
                         Helix::message('POST', '/jobs',
                                        "{$rest,\"$field\":$_}",
                                        @json_type) ] }
                     $latin1->encode($text), "\"$raw\"";
    }

    return @r,
           [ "$i, a name in the query",
             Helix::message('GET', '/jobs?kind=hashmix&' . escape($text)
                                   . '=1', undef, @close) ],
           [ "$i, a name in JSON",
             Helix::message('POST', '/jobs', '{"kind":"hashmix",'
                            . $latin1->encode($text) . ':1}', @json_type) ],
           [ "$i, bare in JSON",
             Helix::message('POST', '/jobs', "{\"kind\":\"hashmix\",$text",
                            @json_type) ];
}


# What is wrong with the bytes of an answer

sub unclean {
    my ($request) = @_;

    my $c = $t->connect;

    $c->send($request);
    $c->read_until(qr/\0never/);

    my ($head, $body) = split /\r\n\r\n/, $c->{buffer}, 2;

    $c->close;

    return 'no answer' if !defined $body;
    return "header: $head"
        if $head =~ /[^\x20-\x7e\r\n]|\r(?!\n)|(?<!\r)\n|evil/i;

    my ($type) = $head =~ /^Content-Type: (\S+)/m;

    if ($type !~ m|^application/(?:problem\+)?json|) {
        return $head =~ m|\AHTTP/1.1 400 Bad Request\r\n| ? () : $head;
    }

    return "body: $body"
        if $body =~ /[\x00-\x1f](?!\z)/ || $body !~ /\n\z/
           || !eval { $json->decode($body) };
    return;
}


sub series {
    my %seen;

    $seen{$_} = 1 for grep { !/ le="|worker|slot/ }
        $t->get('/scrape')->body =~ /^(\w+(?:\{[^\n]*\})?) /mg;

    return join "\n", sort keys %seen;
}


sub hostile {
    conf();
    ok($t->reload, 'hostile contents');

    my $series = series();
    my $log = length $t->read('logs/error.log');
    my $record = () = $t->read('logs/record.log') =~ /\n/g;
    my ($sent, @bad) = (0);

    for my $i (0 .. $#evil) {
        for (hostile_requests($i)) {
            my ($what, $request) = @$_;

            $sent++;
            push @bad, map { "$what: $_" } unclean($request);
        }
    }

    is_deeply([ splice @bad, 0, 5 ], [],
              "$sent hostile contents: not a byte unescaped in an answer");

    # error.log: one line an event, printable

    my $text = substr $t->read('logs/error.log'), $log;
    my @lines = grep { !m|^\d{4}(?:/\d\d){2} [\d:]{8} \[\w+\] [\x20-\x7e]*\z| }
                     split /\n/, $text;

    is_deeply([ splice @lines, 0, 5 ], [], 'hostile contents: error.log');

    # even where the log escapes nothing

    my @records;

    $t->wait_for(sub {
        @records = split /\n/, $t->read('logs/record.log');
        @records >= $record + $sent
    }, 'all records');

    splice @records, 0, $record;

    is(@records, $sent, 'hostile contents: a record each, of one line');

    my @unclean = grep {
        my ($json) = /^(?:[A-Z_]*\|(?:hashmix)?\|\d*\|\w*)\|(.*)\z/;

        !defined $json || $json =~ /[^\x20-\x7e]/
        || ($json ne '' && !eval { JSON::PP->new->decode($json) });
    } @records;

    is_deeply([ splice @unclean, 0, 5 ], [],
              'hostile contents: variables are harmless without escaping');

    is(series(), $series, 'hostile contents: no label comes from a client');
    unlike($series, qr/evil/, 'hostile contents: nor ever did');

    balanced('hostile contents');

    return;
}


conf();
$t->start;

for my $part (\&slow_clients, \&descriptors, \&connections, \&temporary_files,
              \&rapid_reset, \&flood, \&hostile)
{
    my $start = time;

    $part->();
    note(sprintf '%.1f s', time - $start);
}
