#!/usr/bin/env perl

# Every allocation of a request fails once, and all from there on; the disk is
# full.  The worker lives, the client has an answer or a closed connection,
# nothing leaks, and the next request is served.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

use constant { OFF => 0, COUNT => 1, ONCE => 2, FROM => 3, DISK => 4 };

my %name = (ONCE, 'once', FROM, 'from there on');

my $t = Helix->new(timeout => 10);
my $shim = $t->dir . '/oom.so';
my $control = $t->write('oom', "\0" x 32);

chmod 0666, $control;

plan(skip_all => 'no compiler for t/lib/oom.c')
    if system("cc -shared -fPIC -O2 -o $shim $FindBin::Bin/lib/oom.c") != 0;

# Pools so small that nearly every allocation is one of malloc.

$t->conf(<<'END_OF_CONF');
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone helix;
    # so many threads that most are new to the module when memory fails
    helix_pool jobs threads=64 concurrency=1 queue=2 busy=off;
    helix_batch size=2 delay=1ms;
    helix_adapt off;
    helix_headers timing;

    log_format record escape=none '$helix_json $helix_pressure';
    access_log %%DIR%%/logs/json.log record;

    connection_pool_size 112;
    request_pool_size 112;
    client_header_buffer_size 64;
    large_client_header_buffers 4 2k;
    client_body_buffer_size 512;
    output_buffers 1 256;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /inline   { helix_pass hashmix;
                             helix_job strategy=inline final; }
        location /spawn    { helix_pass hashmix;
                             helix_job strategy=spawn final; }
        location /cpu_pool { helix_pass hashmix;
                             helix_job strategy=cpu_pool final; }
        location /batch    { helix_pass hashmix;
                             helix_job strategy=batch final; }
        location /drop     { helix_pass hashmix;
                             helix_job strategy=drop final; }
        location /jobs     { helix_pass; }
        location /dry      { helix_pass hashmix; helix_dry_run on;
                             helix_job strategy=drop final; }
        location /fallback { helix_pass hashmix;
                             helix_job strategy=drop final;
                             error_page 503 =200 /inline; }
        location /ssi      { ssi on; root %%DIR%%; }
        location = /scrape { helix_status prometheus; access_log off; }
        location /helix    { helix_status; access_log off; }
    }
}
END_OF_CONF

$t->write('ssi/page.html', join '', map {
    qq(<!--# include virtual="/$_?inputs=1" -->)
} qw(inline cpu_pool drop));

{
    local $ENV{LD_PRELOAD} = $shim;
    local $ENV{HELIX_OOM} = $control;

    # what is freed is not zero, nor what is new
    local $ENV{MALLOC_PERTURB_} = 165;

    $t->start;
}

my ($worker) = $t->workers;

open my $fh, '+<:raw', $control or die "$control: $!";


sub arm {
    my ($mode, $at) = @_;

    # last the mode: then the rest counts

    sysseek $fh, 4, 0;
    syswrite $fh, pack 'LQQQ', $worker, $at // 0, 0, 0;
    sysseek $fh, 0, 0;
    syswrite $fh, pack 'L', $mode;

    return;
}


sub disarm {
    sysseek $fh, 0, 0;
    syswrite $fh, pack 'L', OFF;
    sysseek $fh, 16, 0;
    sysread $fh, my $bytes, 16;

    return unpack 'QQ', $bytes;
}


sub idle {
    my ($s) = @_;

    return $s && $s->{in_flight} == 0 && $s->{pool}{busy} == 0
           && !grep { $s->{strategies}{$_}{waiting} } qw(spawn cpu_pool batch);
}


# A response of its own connection, as [status, error].

sub ask {
    my ($request) = @_;

    my $c = $t->connect;

    $c->send($request);

    my $r = $c->recv;
    my $result = $r ? [ $r->status, $r->error // '' ] : [ 0, $c->error ];

    $c->close;

    return $result;
}


sub clean {
    my ($result) = @_;

    my ($status, $error) = @$result;

    return $error =~ /^(?:eof|recv: Connection reset)/
           || ($status != 0 && $error eq '');
}


arm(COUNT);
my $first = ask(Helix::message('GET', '/inline?inputs=1', undef,
                               Connection => 'close'));
my ($seen) = disarm();

is($first->[0], 200, 'a job with all the memory it wants');

if ($seen == 0) {
    diag('LD_PRELOAD does not reach malloc of this binary');

    SKIP: {
        skip 'LD_PRELOAD does not reach malloc of this binary', 1;
    }

    exit;
}

$t->expect_alert(qr/(?:malloc|memalign)\([^()]*\) failed/);


my $inputs = join ',', 1 .. 100;
my @get = (undef, Connection => 'close');
my @json = ('Content-Type' => 'application/json', Connection => 'close');

my @requests = (
    [ 'inline', 200, 'GET', "/inline?inputs=$inputs&id=7", @get ],
    [ 'spawn', 200, 'GET', "/spawn?inputs=$inputs&id=7", @get ],
    [ 'cpu_pool', 200, 'GET', "/cpu_pool?inputs=$inputs&id=7", @get ],
    [ 'batch', 200, 'GET', "/batch?inputs=$inputs&id=7", @get ],
    [ 'drop', 503, 'GET', '/drop?inputs=1&id=7', @get ],
    [ 'dry run', 200, 'GET', '/dry?inputs=1&id=7', @get ],
    [ 'error_page', 200, 'GET', '/fallback?inputs=1&id=7', @get ],
    [ 'escaped', 200, 'GET', '/jobs?k%69nd=hash%6dix&inputs=%31%2c2', @get ],
    [ 'unknown kind', 422, 'GET', '/jobs?kind=ha%73hmax&inputs=1', @get ],
    [ 'unknown field', 400, 'GET', '/jobs?kind=hashmix&imputs=1', @get ],
    [ 'body', 200, 'POST', '/cpu_pool', "{\"id\":7,\"inputs\":[1,2,3]}",
      @json ],
    [ 'body in a file', 200, 'POST', '/inline', "{\"inputs\":[$inputs,$inputs,"
      . "$inputs]}", @json ],
    [ 'bad body', 400, 'POST', '/jobs', '{"kind":"hashmix","inputs":[1,]}',
      @json ],
    [ 'method', 405, 'PUT', '/inline', 'body', @json ],
    [ 'include', 200, 'GET', '/ssi/page.html', @get ],
    [ 'status', 200, 'GET', '/helix', @get ],
    [ 'health', 200, 'GET', '/helix/health?ready=1', @get ],
    [ 'stats', 200, 'GET', '/helix/api/stats', @get ],
    [ 'metrics', 200, 'GET', '/scrape', @get ],
);

for my $case (@requests) {
    my ($what, $status, @message) = @$case;

    my $request = Helix::message(@message);

    is(ask($request)->[0], $status, "$what: served");

    fail_each($what, $status, $request, $_) for ONCE, FROM;
}

# Failure by failure, until a request passes untouched.

sub fail_each {
    my ($what, $status, $request, $mode) = @_;

    my $limit = 400;
    my ($result, $failed, %bad, %answers);
    my $n = 0;
    my $quiet = 0;

    # what else the worker allocates, in a timer, moves the count: untouched
    # three times in a row is the end

    while ($quiet < 3 && $n < $limit) {
        $n++;

        arm($mode, $n);
        $result = eval { ask($request) } // [ 0, "died: $@" ];
        (undef, $failed) = disarm();

        $answers{$result->[0]}++;
        push @{$bad{answer}}, "$n: @$result"
            if !clean($result) || $result->[0] !~ /^(?:0|500|503|$status)$/;

        if (!$failed) {
            $quiet++;
            push @{$bad{untouched}}, "$n: @$result"
                if $result->[0] != $status;
        } else {
            $quiet = 0;
        }

        my $s = $t->stats;

        if (!idle($s)) {
            push @{$bad{idle}}, $n
                if !$t->wait_for(sub { idle($s = $t->stats) },
                                 "$what, $n: idle", 5);
        }

        my @wrong = Helix::imbalance($s || {}, 1);

        push @{$bad{books}}, map { "$n: $_" } @wrong if @wrong;

        # a lost place is lost for good: all the others would tell the same

        last if $bad{idle} || $bad{books};
    }

    my $name = "$what, $name{$mode}";

    is_deeply(\%bad, {}, "$name: answered or closed, nothing leaks")
        or diag(explain(\%bad));
    cmp_ok($n, '<', $limit, "$name: one passes untouched");
    cmp_ok($n, '>', 8, "$name: but many fail");

    note("$name: ", $n - 3, ' allocations; ',
         join ', ', map { "$_ x$answers{$_}" } sort keys %answers);

    return;
}


# A disk without room for a body

my $large = Helix::message('POST', '/inline', '{"inputs":['
                           . join(',', 1 .. 1000) . ']}', @json);

is(ask($large)->[0], 200, 'a body in a file');

arm(DISK);
my $full = ask($large);
my (undef, $failed) = disarm();

cmp_ok($failed, '>', 0, 'a full disk');
is($full->[0], 500, 'a full disk: 500');
ok(idle($t->stats), 'a full disk: nothing is held');
is(ask($large)->[0], 200, 'with room again');


# The same worker serves on, with all its places

is("@{[ $t->workers ]}", $worker, 'the worker has never died');

for my $lane (qw(inline spawn cpu_pool batch)) {
    my @c = map { $t->connect } 1 .. ($lane eq 'inline' ? 1 : 2);

    $_->send(Helix::message('GET', "/$lane?inputs=1", undef,
                            Connection => 'close')) for @c;

    is_deeply([ map { my $r = $_->recv; $r ? $r->status : $_->error } @c ],
              [ (200) x @c ], "$lane: all of its places are there");
}
