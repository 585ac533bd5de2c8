#!/usr/bin/env perl

# The dashboard as the server sends it: headers, size, that it is well formed,
# and that nothing but text gets into it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;


my $kinds = join '', map { "    helix_kernel hash_$_ hashmix;\n" } 1 .. 5;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone a-zone.1;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /helix {
            helix_status;
        }

        location "/a b/st<a>tus:1" {
            helix_status write=on;
        }

        location /off/ {
            helix_status write=$arg_write;
        }
    }
}
END

$t->start;

my @html = (Accept => 'text/html,application/xhtml+xml,*/*;q=0.8');
my $csp = "default-src 'none'; script-src 'self'; style-src 'self'; "
          . "img-src 'self'; connect-src 'self'; base-uri 'none'; "
          . "form-action 'self'; frame-ancestors 'self'";


# where it is

for (['/helix', './helix/'], ['/helix?x=<b>', './helix/'],
     ['/a%20b/st%3Ca%3Etus:1', './st%3Ca%3Etus%3A1/'])
{
    my ($path, $where) = @$_;
    my $r = $t->get($path, @html);

    is($r->status, 301, "$path: redirect");
    is($r->header('Location'), $where, "$path: where, relative");
    unlike($r->body, qr/<b>/, "$path: nothing of the request");
    is($t->get($path)->status, 200, "$path: text without");
    is($t->request('HEAD', $path, undef, @html)->status, 301, "$path: HEAD");
}

for my $path ('/helix/', '/a%20b/st%3Ca%3Etus:1/', '/off/') {
    my $r = $t->get($path, @html);

    is($r->status, 200, "$path: the page");
    is($r->header('Content-Type'), 'text/html; charset=utf-8', "$path: type");
}


# its headers

my $r = $t->get('/helix/', @html);

is($r->header('Content-Security-Policy'), $csp, 'policy');
is($r->header('X-Content-Type-Options'), 'nosniff', 'nosniff');
is($r->header('Cache-Control'), 'no-store', 'no-store');
is($r->header('Referrer-Policy'), 'no-referrer', 'no-referrer');
is($r->header('ETag'), undef, 'no tag');

my $head = $t->request('HEAD', '/helix/', undef, @html);

is($head->header('Content-Length'), length $r->body, 'HEAD: length');


# what is in it: well formed, no script, no style, nothing of others

my %page;

for my $jobs (0 .. 1) {
    if ($jobs) {
        $t->get("/jobs?kind=hashmix&cost=$_")
            for 1, 10000, 100000, 'x', '%3Cscript%3E';
        $t->get('/jobs?kind=hashmix&s=drop') for 1 .. 3;
        $t->get('/jobs?kind=%3Cscript%3Ealert(1)%3C/script%3E');
    }

    my $html = $t->get('/helix/?<script>&v="\'', @html, 'User-Agent' => '<x>',
                       Referer => '"><script>', 'Host' => 'a<b>')->body;

    $html = $t->get('/helix/?<script>&v="\'', @html, 'User-Agent' => '<x>',
                    Referer => '"><script>')->body if $html !~ /<main/;

    $page{$jobs} = $html;

    is(join("\n", check($html)), '', "well formed, jobs $jobs");
}

sub check {
    my ($html) = @_;

    my %void = map { $_ => 1 } qw(meta link img input br);

    # whose end may be left out, and what ends them

    my %ends = (td => 'td th tr', th => 'td th tr', tr => 'tr tbody',
                option => 'option', dt => 'dt dd', dd => 'dt dd');
    my (@open, @wrong, %id, @for, @control);

    push @wrong, 'no doctype' if $html !~ s/\A<!doctype html>\n//;
    push @wrong, "place left: $1" if $html =~ /(\{\{.*?\}\})/;

    while ($html =~ /\G(?: ([^<]+)
                         | <(\/?)([a-z][a-z0-9]*)
                           ((?:\s+[a-zA-Z:-]+(?:="[^"<>]*"
                                                |=[^\s"'=<>`]+)?)*?)
                           \s*(\/?)> )/gcx)
    {
        my ($text, $end, $name, $attributes, $closed) = ($1, $2, $3, $4, $5);

        if (defined $text) {
            push @wrong, "not escaped: $text"
                if $text =~ />|&(?!(?:amp|lt|gt|quot|#39);)/;
            next;
        }

        if ($end) {
            pop @open while @open && $ends{$open[-1]} && $open[-1] ne $name;

            my $was = pop @open // 'nothing';

            push @wrong, "</$name> after <$was>" if $was ne $name;
            next;
        }

        pop @open while @open && $ends{$open[-1]}
                        && grep { $_ eq $name } split ' ', $ends{$open[-1]};

        push @open, $name unless $void{$name} || $closed;

        my %a = map { my ($n, $v) = split /=/, $_, 2;
                      ($n => ($v // '') =~ s/\A"|"\z//gr) }
                $attributes =~ /([a-zA-Z:-]+(?:="[^"]*"|=[^\s"]+)?)/g;

        push @wrong, "inline: $_ of $name"
            for grep { /^on/ || $_ eq 'style' || $_ eq 'nonce' } keys %a;
        push @wrong, "id $a{id} twice" if defined $a{id} && $id{$a{id}}++;
        push @wrong, "<$name>" if $name =~ /^(?:style|base|iframe|object)$/;
        push @wrong, 'script in the page'
            if $name eq 'script' && ($a{src} // '') !~ /^app\.js\?v=/;

        for (grep { defined } @a{qw(src href action)}) {
            push @wrong, "elsewhere: $_" if m{^(?:\w+:|/)};
            push @for, $1 if /^#(.+)/;
        }

        push @for, map { split ' ' } grep { defined }
                   @a{qw(for aria-labelledby aria-describedby)};

        push @control, [$name, \%a, [@open]]
            if $name =~ /^(?:input|select|textarea|button)$/;

        push @wrong, 'no scope: <th>' if $name eq 'th' && !$a{scope};
        push @wrong, 'no alt' if $name eq 'img' && !defined $a{alt};
        push @wrong, 'chart without a name'
            if $name eq 'svg' && !$a{'aria-hidden'} && !$a{'aria-label'};
    }

    push @wrong, 'rest: ' . substr $html, pos($html) // 0, 80
        if (pos($html) // 0) < length $html;
    push @wrong, "open: @open" if @open;
    push @wrong, "no id $_" for grep { !$id{$_} } @for;

    pos($html) = undef;

    my %labelled = map { $_ => 1 } @for;

    for (@control) {
        my ($name, $a, $in) = @$_;

        push @wrong, "no label: $name " . ($a->{id} // '')
            if $name ne 'button' && !grep({ $_ eq 'label' } @$in)
               && !$a->{'aria-label'} && !$labelled{$a->{id} // ''};
    }

    push @wrong, 'table without caption'
        if (() = $html =~ /<table\b/g) != (() = $html =~ /<caption\b/g);

    return @wrong;
}

unlike($page{1}, qr/<script>|alert\(1\)|<x>/, 'nothing of a request');
like($page{1}, qr/<noscript><meta http-equiv="refresh" content="5">/,
     'it reloads itself without a script');
like($page{1}, qr/a-zone\.1/, 'name of the zone');


# numbers: those of api/stats, by the keys that it has

my $s = $t->stats;
my $html = $t->get('/helix/', @html)->body;
my (%at, $missing);

sub whole { 1 while $_[0] =~ s/^(\d+)(\d{3})/$1\xe2\x80\xaf$2/; $_[0] }

for my $key (qw(invalid failed expired cancelled shed lost in_flight
                generation crashes))
{
    my ($text) = $html =~ m|data-k=n:$key>(.*?)<|;

    is($text, whole("$s->{$key}"), "number: $key");
}

for my $lane (qw(inline spawn cpu_pool batch)) {
    my ($row) = $html =~ m|<tr\ data-p="strategies.$lane"\ class="$lane">
                           (.*?)<tr|xs;
    my ($late) = $row =~ m|data-k=n:late>(.*?)<|;

    is($late, $s->{strategies}{$lane}{late}, "$lane: late");
    like($row, qr|<th scope=row>$lane<|, "$lane: its name");
}

for my $kind (sort keys %{$s->{kinds}}) {
    my ($row) = $html =~ m|<tr data-p="kinds.$kind">(.*?)</?t[rb]|s;
    my ($received) = $row =~ m|data-k=n:received>(.*?)<|;

    is($received, $s->{kinds}{$kind}{received}, "$kind: received");
}

like($html, qr|<tr><th scope=row>pinned<td>3<td>100.0%<|,
     'reasons');

# every key of the page is one of api/stats, but for those app.js makes

my %made = (share => 1);

while ($html =~ /data-p="?([\w.]+)|data-k=\w:([\w.]+)|<\/(tbody|dl)>/g) {
    if (defined $1) {
        $missing = $1;
    } elsif ($3) {
        undef $missing;
    } else {
        my ($prefix, $key) = ($missing, $2);

        next if $made{$key};

        my $node = $s;

        for (defined $prefix ? split(/\./, $prefix, 2) : (), split /\./, $key) {
            $node = ref $node ? $node->{$_} : undef;
        }

        ok(defined $node, 'key of the page: ' . ($prefix // '') . " $key");
    }
}


# write or not

like($html, qr/data-write="off"/, 'no write');
like($html, qr/Read only: "?(?:&quot;)?helix_status write=on/, 'it says why');
like($t->get('/off/', @html)->body, qr/data-write="off"/, 'variable: no write');
like($t->get('/off/?write=1', @html)->body, qr/data-write="on"/,
     'variable: write');


# the files

my $size = length $html;
my $dir = "$FindBin::Bin/../src/http/page";
my %type = ('app.js' => 'text/javascript; charset=utf-8',
            'app.css' => 'text/css; charset=utf-8',
            'icon.svg' => 'image/svg+xml');

for my $name (sort keys %type) {
    my ($version) = $html =~ /\Q$name\E\?v=(\w+)/;

    my ($end) = $name =~ /(\w+)$/;
    my $more = -e "$dir/$end.sed" ? "| sed -f $dir/$end.sed" : '';
    my $file = `sed -f $dir/strip.sed $dir/$name $more`;

    my $f = $t->get("/helix/$name?v=$version");

    is($f->status, 200, $name);
    ok($f->body eq $file, "$name: the file");
    is($f->header('Content-Type'), $type{$name}, "$name: type");
    is($f->header('X-Content-Type-Options'), 'nosniff', "$name: nosniff");
    is($f->header('Cache-Control'), 'public, max-age=31536000, immutable',
       "$name: for ever");
    is($f->header('ETag'), "\"$version\"", "$name: tag");

    $size += length $file;

    for my $query ('', '?v=', "?v=${version}0", '?v=0123456789abcdef') {
        is($t->get("/helix/$name$query")->header('Cache-Control'), 'no-cache',
           "$name$query: not for ever");
    }

    for (["\"$version\"", 304], ["\"x\", \"$version\"", 304],
         ["W/\"$version\"", 304], ['*', 304], ['"x"', 200], [$version, 200])
    {
        my $f = $t->get("/helix/$name", 'If-None-Match' => $_->[0]);

        is($f->status, $_->[1], "$name: If-None-Match $_->[0]");
        is($f->body, '', "$name: no body") if $_->[1] == 304;
        is($f->header('ETag'), "\"$version\"", "$name: its tag");
    }

    is($t->request('HEAD', "/helix/$name")->header('Content-Length'),
       length $file, "$name: HEAD");
    is($t->request('POST', "/helix/$name", '{}')->status, 405, "$name: POST");
    is($t->get("/helix/$name/")->status, 404, "$name: nothing below");
}

my ($rows) = $html =~ m|<tbody>(<tr data-p="kinds.*?)</tbody>|s;
my $one = length($rows) / keys %{$s->{kinds}};

cmp_ok($size + $one * (8 - keys %{$s->{kinds}}), '<=', 40000,
       "page and files with eight kinds: $size bytes with "
       . keys(%{$s->{kinds}}));

for my $name (qw(app.js)) {
    my $script = $t->get("/helix/$name")->body;

    unlike($script, qr/\b(?:innerHTML|outerHTML|insertAdjacentHTML|document
                            \.write|eval|Function)\b/x, "$name: text only");
    unlike($script, qr{https?://(?!www\.w3\.org/2000/svg)},
           "$name: no other host");
}
