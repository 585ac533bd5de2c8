#!/usr/bin/env perl

# Whatever is answered, the body of a request is consumed: a request inside a
# body is never run, and the one behind it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_batch size=8 delay=2ms;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /run {
            helix_pass hashmix;
            helix_job id=1 strategy=$arg_s final;
        }

        location /unknown {
            helix_pass $arg_k;
        }

        location /slow {
            helix_pass hashmix;
            helix_job id=1 cost=20000000000 strategy=$arg_s final;
            helix_timeout 20ms;
        }

        location /small {
            client_max_body_size 10;
            helix_pass;
        }

        location /file {
            client_body_in_file_only clean;
            helix_pass;
        }

        location /fallback {
            error_page 400 405 413 415 422 503 504 = @fallback;
            helix_pass hashmix;
            helix_job id=1 strategy=$arg_s final;
            helix_timeout 20ms;
        }

        location /rejected {
            error_page 503 /page;
            helix_pass hashmix;
            helix_job id=1 strategy=drop final;
        }

        location /page {
            return 200 "page\n";
        }

        location @fallback {
            return 200 "fallback\n";
        }

        location /helix {
            helix_status;
        }

        location /one {
            helix_status json;
        }
    }
}
END

$t->start;

my $inner = "GET /helix/health?inner HTTP/1.1\r\nHost: inner\r\n\r\n";
my $form = 'application/x-www-form-urlencoded';
my $next = 0;


sub message {
    my ($method, $path, $body, $type, $chunked, @more) = @_;

    return Helix::message($method, $path, $body, 'Content-Type' => $type,
                          @more)
        if !$chunked;

    my $text = '';

    for my $piece ($body =~ /(.{1,11})/gs) {
        $text .= sprintf "%x\r\n%s\r\n", length $piece, $piece;
    }

    return Helix::message($method, $path, "${text}0\r\n\r\n",
                          'Content-Type' => $type,
                          'Transfer-Encoding' => 'chunked', @more);
}


# All answers of a connection, with what is behind the request; "closed" if
# nginx has left before.

sub answers {
    my ($bytes, $head) = @_;

    my ($first, $second) = (++$next, ++$next);
    my $c = $t->connect;

    $c->send($bytes
             . Helix::message('GET', "/jobs?kind=hashmix&id=$first")
             . Helix::message('GET', "/jobs?kind=hashmix&id=$second", undef,
                              Connection => 'close'));

    my @answers;

    while (my $r = $c->recv(head => $head && !@answers)) {
        push @answers, $r;
    }

    my $r = $answers[0] // Helix::Response->none($c->error);
    my @rest = map { $_->json->{id} // $_->status } @answers[1 .. $#answers];

    my $rest = !@rest ? 'closed'
               : "@rest" eq "$first $second" ? 'next' : "@rest";

    return ($r, $r->status . " $rest");
}


my @cases = (
    ['200 inline', 'POST', '/run?s=inline', "id=$inner", $form, 200],
    ['200 spawn', 'POST', '/run?s=spawn', "id=$inner", $form, 200],
    ['200 cpu_pool', 'POST', '/run?s=cpu_pool', "id=$inner", $form, 200],
    ['200 batch', 'POST', '/run?s=batch', "id=$inner", $form, 200],
    ['200 of a HEAD', 'HEAD', '/run?s=inline', "id=$inner", $form, 200],
    ['200 of a HEAD from the pool', 'HEAD', '/run?s=cpu_pool', "id=$inner",
     $form, 200],
    ['200 of a GET', 'GET', '/run?s=spawn', "id=$inner", $form, 200],
    ['400 of a field', 'POST', '/jobs', $inner, $form, 400],
    ['400 of a query', 'POST', '/jobs?colour=red', $inner, $form, 400],
    ['400 of JSON', 'POST', '/jobs', $inner, 'application/json', 400],
    ['400 of JSON with text behind', 'POST', '/jobs',
     '{"kind":"hashmix"}' . $inner, 'application/json', 400],
    ['400 of a HEAD', 'HEAD', '/jobs', $inner, $form, 400],
    ['400 of a file', 'POST', '/file', $inner, 'application/json', 400],
    ['405', 'PUT', '/jobs', $inner, $form, 405],
    ['405 of a word', 'BREW', '/jobs', $inner, $form, 405],
    ['413 of the cost', 'POST', '/run?s=&cost=18446744073709551615',
     "id=$inner", $form, 413],
    ['413 of the inputs', 'POST', '/run', 'inputs=' . '1,' x 4097 . $inner,
     $form, 413],
    ['413 of the body', 'POST', '/jobs',
     $inner . ' ' x 500000 . "\r\n\r\n" . $inner, $form, 413],
    ['413 of nginx', 'POST', '/small', $inner, $form, 413, 'closed'],
    ['415', 'POST', '/jobs', $inner, 'text/plain', 415],
    ['422', 'POST', '/unknown?k=image', '', $form, 422],
    ['422 with a body', 'POST', '/jobs',
     'id=1&kind=' . $inner, $form, 422],
    ['503', 'POST', '/run?s=drop', "id=$inner", $form, 503],
    ['503 of a HEAD', 'HEAD', '/run?s=drop', "id=$inner", $form, 503],
    map({ ["504 $_", 'POST', "/slow?s=$_", "id=$inner", $form, 504] }
        qw(inline spawn cpu_pool batch)),
    ['status', 'GET', '/helix', $inner, $form, 200],
    ['status in JSON', 'GET', '/helix/api/stats', $inner, $form, 200],
    ['status of one format', 'GET', '/one', $inner, $form, 200],
    ['status of a HEAD', 'HEAD', '/helix/health', $inner, $form, 200],
    ['status, 404', 'GET', '/helix/nothing', $inner, $form, 404],
    ['status, 404 of a HEAD', 'HEAD', '/helix/nothing', $inner, $form, 404],
    ['status, 405', 'POST', '/helix', $inner, $form, 405],
    ['fallback for 400', 'POST', '/fallback', "x=$inner", $form, 200],
    ['fallback for 405', 'PUT', '/fallback', $inner, $form, 200],
    ['fallback for 413', 'POST', '/fallback?cost=18446744073709551615',
     "id=$inner", $form, 200],
    ['fallback for 415', 'POST', '/fallback', $inner, 'text/plain', 200],
    ['fallback for 503', 'POST', '/fallback?s=drop', "id=$inner", $form, 200],
    ['fallback for 504', 'POST', '/fallback?s=cpu_pool&cost=20000000000',
     "id=$inner", $form, 200],
    ['error_page of a path', 'POST', '/rejected', "id=$inner", $form, 503],
);

for my $case (@cases) {
    my ($name, $method, $path, $body, $type, $status, $rest) = @$case;
    my $head = $method eq 'HEAD';

    # nginx itself ends a connection after some errors that it takes over

    my $want = $rest ? qr/^$status $rest$/
               : $name =~ /^fallback/ ? qr/^$status (?:next|closed)$/
               : qr/^$status next$/;

    for my $chunked (0, 1) {
        next if $body eq '' && $chunked;

        my $what = $chunked ? 'chunked' : 'Content-Length';
        my $bytes = message($method, $path, $body, $type, $chunked);
        my ($r, $got) = answers($bytes, $head);

        like($got, $want, "$name, $what");

        next if $path !~ m{^/(?:fallback|rejected)};

        my @ours = grep { /^(?:x-helix.*|retry-after|allow|cache-control)$/ }
                        sort keys %{$r->{headers}};

        is("@ours", '', "no header of ours, $name, $what");
        like($r->body, qr/^(?:fallback|page)$/, "its own body, $name, $what");
    }
}


# the answer comes before the body

for my $case (['PUT', '/jobs', 405], ['POST', '/helix', 405],
              ['GET', '/helix', 200], ['GET', '/helix/nothing', 404],
              ['HEAD', '/helix', 200])
{
    my ($method, $path, $status) = @$case;

    for my $chunked (0, 1) {
        my $what = "$method $path" . ($chunked ? ', chunked' : '');
        my $bytes = message($method, $path, $inner x 20, $form, $chunked);
        my $at = length($bytes) - 700;
        my $c = $t->connect;

        $c->send(substr $bytes, 0, $at);
        my $r = $c->recv(head => $method eq 'HEAD');
        is($r && $r->status, $status, "$what, before the end of the body");

        $c->send(substr $bytes, $at);
        $r = $c->request('GET', '/jobs?kind=hashmix&id=12345');
        is($r && $r->json->{id}, 12345, "$what, and the next");
        ok(!length $c->{buffer}, "$what, and no more");
    }
}


# both lengths: nginx takes neither, or ends the connection

my $c = $t->connect;

$c->send("POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
         . "Transfer-Encoding: chunked\r\nContent-Type: $form\r\n\r\n"
         . "0\r\n\r\n$inner");

my $r = $c->recv;

is($r->status, 400, 'two lengths');
ok(!defined $c->recv && $c->error eq 'eof', 'two lengths, closed');

# a chunk that is none

for my $path (qw(/jobs /helix)) {
    $c = $t->connect;
    $c->send("POST $path HTTP/1.1\r\nHost: a\r\nContent-Type: $form\r\n"
             . "Transfer-Encoding: chunked\r\n\r\nxyz\r\n$inner");

    $r = $c->recv;
    is($r->status, 400, "broken chunks to $path");
    ok(!defined $c->recv && $c->error eq 'eof', "closed, $path");
}


# many on one connection

my @lanes = qw(inline spawn cpu_pool batch drop);

for my $chunked (0, 1) {
    my $bytes = '';

    for my $id (1 .. 20) {
        my $lane = $lanes[$id % 5];

        $bytes .= message('POST', "/run?s=$lane",
                          "id=x&inputs=$id&cost=64", $form, $chunked);
    }

    $c = $t->connect;
    $c->send($bytes);

    my @got = map { my $r = $c->recv;
                    ($r->json->{strategy} // $r->json->{reason} // '')
                    . ' ' . ($r->json->{outputs}[0] // '') } 1 .. 20;

    my @want = map {
        my $id = $_;
        my $lane = $lanes[$id % 5];

        $lane eq 'drop' ? 'pinned '
        : "$lane " . $t->get("/jobs?kind=hashmix&inputs=$id&cost=64")
                       ->json->{outputs}[0]
    } 1 .. 20;

    is_deeply(\@got, \@want, '20 pipelined jobs, '
                             . ($chunked ? 'chunked' : 'Content-Length'));
}

$c = $t->connect;
$c->send(join '', map { message('POST', '/jobs', "kind=hashmix&id=$_"
                                . '&cost=' . (1, 9000, 70000)[$_ % 3],
                                $form, $_ % 2) } 1 .. 20);
is(join(' ', map { $c->recv->json->{id} } 1 .. 20), join(' ', 1 .. 20),
   '20 pipelined jobs answer in their order');

# nobody has asked from inside a body

my $log = $t->read('logs/access.log');

unlike($log, qr/inner/, 'no request from a body in the access log');
