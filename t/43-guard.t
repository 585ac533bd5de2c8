#!/usr/bin/env perl

# Who may change something: some 400 requests against rules that are written
# down here a second time, in another way than in the module.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

# nginx itself leaks what it compiles of a regular expression

$ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0';

my $t = Helix->new;

$t->conf(<<'END_OF_CONF');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    map $http_x_may $may {
        default  '';
        yes      1;
        no       0;
        off      off;
        on       on;
        false    false;
        upper    OFF;
        blank    " ";
        00       00;
        11       11;
    }

    server {
        listen 127.0.0.1:%%PORT_0%% default_server;
        listen [::1]:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        server_name helix.example www.helix.example *.wild.example .dot.example
                    tail.*
                    ~^re(?<n>\d+)\.example$ _ "";

        location /helix {
            helix_status write=on;
        }

        location /off {
            helix_status;
        }

        location /may {
            helix_status write=$may;
        }

        # nginx asks no access rule of a subrequest

        location /denied {
            log_subrequest on;
            helix_status write=on;
            deny all;
        }

        location /mirrored/config {
            mirror /denied/api/config;
            proxy_method GET;
            proxy_pass http://127.0.0.1:%%PORT_0%%/helix/health;
        }

        location /mirrored/telemetry {
            mirror /denied/api/telemetry;
            proxy_method GET;
            proxy_pass http://127.0.0.1:%%PORT_0%%/helix/health;
        }

        location /mirrored/reset {
            mirror /denied/api/reset;
            proxy_method GET;
            proxy_pass http://127.0.0.1:%%PORT_0%%/helix/health;
        }

        location /mirrored/simulate {
            mirror /denied/api/simulate;
            proxy_method GET;
            proxy_pass http://127.0.0.1:%%PORT_0%%/helix/health;
        }

        location /iffy {
            helix_status write=on;

            if ($arg_x) {
                set $y 1;
            }
        }

        location /iffy_off {
            helix_status;

            if ($arg_x) {
                set $y 1;
            }
        }

        location /iffy_denied {
            helix_status write=on;
            deny all;

            if ($arg_x) {
                set $y 1;
            }
        }
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name other.example;

        location /helix {
            helix_status write=on;
        }
    }
}
END_OF_CONF

$t->start;

my $port = $t->port(0);
my $value = 1000;
my $cases = 0;

sub state_of {
    my $c = $t->get('/helix/api/config')->json;

    return join ' ', $c->{generation}, map { "$_=$c->{config}{$_}" }
                                       sort keys %{$c->{config}};
}

sub no_cors {
    my ($r) = @_;

    return join ' ', grep { defined $r->header("Access-Control-$_") }
                     qw(Allow-Origin Allow-Methods Allow-Headers
                        Allow-Credentials Expose-Headers Max-Age);
}


# One request; what is to come of it: 200, or a code.

sub check {
    my ($want, $name, $method, $path, @headers) = @_;

    my $body = $method eq 'DELETE' ? undef
               : '{"cpu_queue_cap":' . ++$value . '}';
    my $before = state_of();
    my $text = "$method $path HTTP/1.1\r\n";

    while (my ($key, $v) = splice @headers, 0, 2) {
        $text .= "$key: $v\r\n";
    }

    $text .= "Connection: close\r\n";
    $text .= 'Content-Length: ' . length($body) . "\r\n" if defined $body;
    $text .= "\r\n" . ($body // '');

    my $r = $t->raw($text);
    my $json = eval { $r->json } || {};
    my $got = $r->status == 200 ? 200 : $json->{code} // $r->status;

    $cases++;

    my @wrong;

    push @wrong, "got $got, not $want" if $got ne $want;
    push @wrong, 'something was changed'
        if $want ne '200' && state_of() ne $before;
    push @wrong, 'nothing was changed'
        if $want eq '200' && $method ne 'DELETE' && $method ne 'GET'
           && state_of() eq $before;
    push @wrong, 'CORS ' . no_cors($r) if no_cors($r);

    is(join('; ', @wrong), '', $name);

    return $r;
}


# The rules.  A host is its text in lower case without one dot at the end; the
# first rule that does not hold is the one that is told.

sub split_host {
    my ($text) = @_;

    return if $text !~ /\A(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(\d+))?\z/;
    return if $text =~ m{[\@/\\?#,\s]};
    return if defined $2 && ($2 < 1 || $2 > 65535);

    return (lc $1, $2);
}

sub ours {
    my ($host, $server) = @_;

    $host =~ s/\.\z//;

    return 1 if $host =~ /\A(?:\d{1,3}\.){3}\d{1,3}\z/;
    return 1 if $host =~ /\A\[[0-9a-f:.]+\]\z/;
    return 1 if $host eq 'localhost';

    return $host eq 'other.example' if $server eq 'other';

    return $host =~ /\A (?: (?:www\.)? helix\.example | .+\.wild\.example
                          | (?:.+\.)? dot\.example | tail\..+
                          | re\d+\.example ) \z/x;
}

sub expected {
    my ($method, $host, $type, $origins, $sites) = @_;

    my ($name, $hport) = split_host($host);

    return 'ForeignHost' if !defined $name;

    my $server = $name =~ /\Aother\.example\.?\z/ ? 'other' : 'main';

    return 'ForeignHost' if !ours($name, $server);

    return 'CrossOrigin' if @$sites > 1
                            || grep { !/\A(?:same-origin|none)\z/ } @$sites;
    return 'CrossOrigin' if @$origins > 1;

    for my $origin (@$origins) {
        my ($scheme, $rest) = $origin =~ m{\A(https?)://(.+)\z}i
            or return 'CrossOrigin';
        my ($oname, $oport) = split_host($rest);
        my $default = lc $scheme eq 'http' ? 80 : 443;

        return 'CrossOrigin'
            if !defined $oname || $oname ne $name
               || ($oport // $default) != ($hport // $default);
    }

    return 200 if $method eq 'DELETE' && !@$type;
    return 'MediaType' if @$type != 1
                          || $type->[0] !~ m{\Aapplication/json(?:[ ;].*)?\z}i;

    return 200;
}

sub generated {
    my ($method, $host, $type, $origins, $sites) = @_;

    my $want = expected(@_);
    my $name = join ' ', $method, $host, map { "[@$_]" } $type, $origins,
                                                         $sites;

    return check($want, "$want: $name", $method, '/helix/api/config',
                 Host => $host,
                 (map { ('Content-Type' => $_) } @$type),
                 (map { (Origin => $_) } @$origins),
                 (map { ('Sec-Fetch-Site' => $_) } @$sites));
}

my $json = ['application/json'];


# hosts

for my $host ('localhost', "localhost:$port", 'LOCALHOST', 'localhost.',
              '127.0.0.1', "127.0.0.1:$port", '10.1.2.3', '[::1]',
              "[::1]:$port", '[fe80::1]', 'helix.example', 'Helix.Example:80',
              'www.helix.example', 'helix.example.', 'x.helix.example',
              'evil.example', 'helix.example.evil.example', 'evilhelix.example',
              'a.wild.example', 'a.b.wild.example', 'wild.example',
              'xwild.example', 'dot.example', 'a.dot.example', 'adot.example',
              'tail.org', 'tail.co.uk', 'atail.org', 're1.example',
              're.example', 'xre1.example', '_', 'localhost.evil.example',
              '127.0.0.1.evil.example', '127.0.0.1.nip.example', '1.2.3',
              'other.example', 'OTHER.example:1', 'localhost:0',
              'localhost:65536', 'evil.example:80', '*.wild.example',
              'helix_example', '2130706433', '0x7f.1')
{
    generated($_, $host, $json, [], []) for qw(PATCH);
    generated('DELETE', $host, [], [], ['same-origin']);
    generated('POST', $host, $json, ["http://$host"], []);
}


# origins

for my $host ('localhost', "localhost:$port", 'helix.example',
              'helix.example:80', 'helix.example:443', 'helix.example:8080',
              '127.0.0.1', '[::1]:8080', 'helix.example.')
{
    for my $origin ('null', '', 'http://localhost', "http://localhost:$port",
                    'https://localhost', 'http://LOCALHOST',
                    'http://helix.example', 'https://helix.example',
                    'http://helix.example:80', 'https://helix.example:443',
                    'http://helix.example:443', 'https://helix.example:80',
                    'http://helix.example:8080', 'http://helix.example.',
                    'http://127.0.0.1', 'http://127.0.0.1:80',
                    'http://[::1]:8080', 'http://[::1]',
                    'http://helix.example@evil.example',
                    'http://evil.example', 'http://helix.example.evil.example',
                    'http://user@helix.example', 'http://helix.example/',
                    'ftp://helix.example', 'helix.example',
                    'file://', 'http://')
    {
        generated('PATCH', $host, $json, [$origin], []);
    }
}


# more than one, and together

my $same = ['http://localhost'];

for ([[], ['same-origin']], [[], ['none']], [[], ['same-site']],
     [[], ['cross-site']], [[], ['']], [[], ['Same-Origin']],
     [[], ['same-origin', 'cross-site']], [[], ['cross-site', 'same-origin']],
     [[], ['same-origin', 'same-origin']], [[], ['same-origin, none']],
     [$same, ['same-origin']], [$same, ['cross-site']],
     [[@$same, @$same], []], [[@$same, 'http://evil.example'], []],
     [['http://evil.example', @$same], []], [['http://localhost, null'], []],
     [['null'], ['same-origin']])
{
    my ($origins, $sites) = @$_;

    generated($_, 'localhost', $_ eq 'DELETE' ? [] : $json, $origins, $sites)
        for qw(POST PATCH DELETE);
}


# types

for my $type ([], ['application/json'], ['Application/JSON'],
              ['application/json; charset=utf-8'], ['application/json;x'],
              ['application/json '], ['application/jsonp'], ['text/plain'],
              ['application/x-www-form-urlencoded'], ['multipart/form-data'],
              ['application/problem+json'], ['text/json'], [''],
              ['application/json, text/plain'],
              ['text/plain; application/json'],
              ['application/json', 'text/plain'],
              ['text/plain', 'application/json'])
{
    generated($_, 'localhost', [@$type], [], []) for qw(POST PATCH DELETE);
}


# a second Host, or one in the request line, is not to be chosen from

for (["Host: localhost\r\nHost: evil.example\r\n"],
     ["Host: evil.example\r\nHost: localhost\r\n"],
     ["Host: localhost\r\n", 'http://evil.example/helix/api/config'],
     ["Host: evil.example\r\n", 'http://localhost/helix/api/config'])
{
    my ($hosts, $path) = @$_;

    $path //= '/helix/api/config';

    my $before = state_of();
    my $r = $t->raw("PATCH $path HTTP/1.1\r\n$hosts"
                    . "Content-Type: application/json\r\n"
                    . "Content-Length: 21\r\nConnection: close\r\n\r\n"
                    . '{"cpu_queue_cap":999}');

    $cases++;
    ok($r->status == 400 || $r->status == 403, "refused: $path $hosts");
    is(state_of(), $before, 'and nothing changed');
}

{
    my $r = $t->raw("PATCH /helix/api/config HTTP/1.0\r\n"
                    . "Content-Type: application/json\r\n"
                    . "Content-Length: 21\r\n\r\n{\"cpu_queue_cap\":998}");

    is($r->status, 403, 'no Host at all');
}


# HTTP/2: the host is in :authority

SKIP: {
    skip 'no curl with HTTP/2', 1 if qx{curl -V 2>/dev/null} !~ /\bHTTP2\b/;

    my $h2 = $t->port(1);

    for (['localhost', undef], ['evil.example', undef],
         ['helix.example:8080', 'http://helix.example:8080'],
         ['helix.example', 'http://localhost'],
         ["127.0.0.1:$h2", "http://127.0.0.1:$h2"],
         ["127.0.0.1:$h2", 'null'], ['x.helix.example', undef])
    {
        my ($host, $origin) = @$_;
        my $want = expected('PATCH', $host, $json, [$origin // ()], []);
        my $before = state_of();
        my @origin = defined $origin ? ('-H', "Origin: $origin") : ();

        my $got = 0;

        # nginx answers without the body and resets the stream, for which this
        # client forgets the answer at times

        for (1 .. 30) {
            open my $curl, '-|', qw(curl -s --http2-prior-knowledge -X PATCH
                -w %{http_code} -o /dev/null -H), "Host: $host", @origin,
                '-H', 'Content-Type: application/json',
                '-d', '{"cpu_queue_cap":' . ++$value . '}',
                "http://127.0.0.1:$h2/helix/api/config" or die;

            last if ($got = <$curl>) > 0;
        }

        is($got, $want eq '200' ? 200 : 403, "HTTP/2: $want: $host "
                                             . ($origin // ''));
        is(state_of() eq $before, $want ne '200', 'as it says');
        $cases++;
    }
}


# where it is off, and by a variable

for my $method (qw(POST PATCH DELETE)) {
    check('WriteDisabled', "off: $method", $method, '/off/api/config',
          Host => 'localhost', 'Content-Type' => 'application/json');

    for ([[], 'WriteDisabled'], [['X-May' => 'yes'], 200],
         [['X-May' => 'on'], 200],
         (map { [['X-May' => $_], 'WriteDisabled'] }
              qw(false upper blank 00 11)),
         [['X-May' => 'no'], 'WriteDisabled'],
         [['X-May' => 'off'], 'WriteDisabled'])
    {
        check($_->[1], "\$may: $method @{$_->[0]}", $method, '/may/api/config',
              Host => 'localhost', 'Content-Type' => 'application/json',
              @{$_->[0]});
    }
}


# nor by a request that nginx makes, nor through "if"

for my $case (['config', '{"cpu_queue_cap":77}'],
              ['telemetry', '{"pressure":1}'], ['reset', '{}'],
              ['simulate', '{"jobs":1}'])
{
    my ($path, $body) = @$case;
    my $before = state_of();
    my $log = length $t->read('logs/access.log');
    my $r = $t->post("/mirrored/$path", $body);

    is($r->status, 200, "mirror to api/$path");
    ok($t->wait_for(sub { substr($t->read('logs/access.log'), $log)
                          =~ /" 403 / }), 'the copy is refused');
    is(state_of(), $before, 'nothing changed');
    is($t->stats->{pressure}{external}, 0, 'nor the pressure');
    $cases++;
}

for my $args ('', '?x=1') {
    my @headers = (Host => 'localhost', 'Content-Type' => 'application/json');

    check(200, "if: on $args", 'PATCH', "/iffy/api/config$args", @headers);
    check('WriteDisabled', "if: off $args", 'PATCH',
          "/iffy_off/api/config$args", @headers);
    check(403, "if: denied $args", 'PATCH', "/iffy_denied/api/config$args",
          @headers);
}


# all other paths that change something have the same guard

for my $path (qw(config telemetry reset simulate)) {
    my $before = state_of();
    my $r = $t->request('POST', "/helix/api/$path", '{"pressure":1}',
                        Host => 'localhost', Origin => 'http://evil.example',
                        'Content-Type' => 'application/json');

    is($r->status, 403, "api/$path: another site");
    is($r->json->{code}, 'CrossOrigin', 'the code');
    is(state_of(), $before, 'nothing changed');
    is($t->stats->{pressure}{external}, 0, 'nor the pressure');

    $r = $t->request('POST', "/off/api/$path", '{}', Host => 'localhost',
                     'Content-Type' => 'application/json');
    is($r->json->{code}, 'WriteDisabled', "api/$path: off");

    $cases += 2;
}


# reading never changes anything, and other sites are told nothing

for my $path ('', '/', '/health', '/metrics', '/api/stats', '/api/config',
              '/api/telemetry', '/api/history', '/api/decisions')
{
    my $before = state_of();

    for my $method (qw(GET HEAD)) {
        my $r = $t->request($method, "/helix$path?cpu_queue_cap=7"
                                     . '&pressure=1&reset=1',
                            '{"cpu_queue_cap":7,"pressure":1}',
                            Host => 'localhost',
                            'Content-Type' => 'application/json',
                            'X-HTTP-Method-Override' => 'PATCH',
                            Origin => 'http://evil.example');

        is($r->status, 200, "$method $path");
        is(no_cors($r), '', 'no CORS');
        $cases++;
    }

    is(state_of(), $before, 'nothing changed');
}

for my $path ('/api/config', '/api/telemetry') {
    my $r = $t->request('OPTIONS', "/helix$path", undef, Host => 'localhost',
                        Origin => 'http://evil.example',
                        'Access-Control-Request-Method' => 'PATCH',
                        'Access-Control-Request-Headers' => 'content-type');

    is($r->status, 405, "preflight for $path");
    is(no_cors($r), '', 'is not answered');
    $cases++;
}

cmp_ok($cases, '>=', 400, "$cases cases");
