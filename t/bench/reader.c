
/*
 * t/bench/reader: reads the stream of decisions and keeps its books.
 *
 *     reader PORT PATH [SECONDS [PAUSE_MS [ID]]]
 *
 * Every record is one of a worker's ring: those that came, those that a gap
 * told of, and what is neither.  PAUSE_MS: it reads nothing for so long after
 * the first decision, if negative until SIGUSR1.  With UNTIL=N in its
 * environment it ends when it knows of so many records.  ID: where to go on.  On SIGTERM, or after SECONDS, one line
 * of JSON.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


#define SIZE   (4 << 20)
#define RINGS  128


static struct {
    uint64_t   decisions;
    uint64_t   done;
    uint64_t   records;       /* as far as they are told apart by seq */
    uint64_t   gaps;
    uint64_t   missed;
    uint64_t   repeated;
    uint64_t   bytes;
    uint64_t   reads;
    uint64_t   next[RINGS];
    uint64_t   skipped;       /* by what the numbers say */
    char       id[4096];
    char       bye[64];
    char       why[256];      /* of gaps, in the order they came */
} books;

static volatile sig_atomic_t  stop, go;
static char                   buffer[SIZE];


static void
on_signal(int signo)
{
    if (signo == SIGUSR1) {
        go = 1;
        return;
    }

    stop = 1;
}


static double
now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static uint64_t
number(const char *line, const char *key)
{
    const char  *p;

    p = strstr(line, key);

    return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}


/* Both events of one record have its number: the second is no repeat. */

static void
record(const char *line, int done)
{
    uint64_t         seq, ring;
    static uint64_t  decided[RINGS];

    seq = number(line, "\"seq\":");
    ring = number(line, "\"w\":") % RINGS;

    if (done && decided[ring] == seq + 1) {
        return;
    }

    if (!done) {
        decided[ring] = seq + 1;
    }

    if (books.next[ring] && seq < books.next[ring] - 1) {
        books.repeated++;
        return;
    }

    if (books.next[ring]) {
        books.skipped += seq - (books.next[ring] - 1);
    }

    books.records++;
    books.next[ring] = seq + 2;
}


static void
line(const char *text, const char *event)
{
    char        *p;
    const char  *why;

    if (strncmp(text, "id: ", 4) == 0) {
        (void) snprintf(books.id, sizeof(books.id), "%s", text + 4);
        return;
    }

    if (strncmp(text, "data: ", 6) != 0) {
        return;
    }

    if (event[0] == '\0') {
        books.decisions++;
        record(text, 0);

    } else if (strcmp(event, "done") == 0) {
        books.done++;
        record(text, 1);

    } else if (strcmp(event, "gap") == 0) {
        books.gaps++;
        books.missed += number(text, "\"missed\":");

        why = strstr(text, "\"why\":\"");
        p = books.why + strlen(books.why);

        if (why && p < books.why + sizeof(books.why) - 16) {
            (void) sprintf(p, "%s%.8s", *books.why ? " " : "", why + 7);
            p[strcspn(p, "\"")] = '\0';
        }

    } else if (strcmp(event, "bye") == 0) {
        (void) snprintf(books.bye, sizeof(books.bye), "%s", text + 6);
    }
}


/* What is left of a line that is not whole yet. */

static size_t
lines(size_t len)
{
    char         *p, *end;
    static char   event[32];

    for (p = buffer; ; p = end + 1) {
        end = memchr(p, '\n', (size_t) (buffer + len - p));

        if (end == NULL) {
            break;
        }

        *end = '\0';

        if (*p == '\0') {
            event[0] = '\0';

        } else if (strncmp(p, "event: ", 7) == 0) {
            (void) snprintf(event, sizeof(event), "%s", p + 7);

        } else {
            line(p, event);
        }
    }

    len = (size_t) (buffer + len - p);
    memmove(buffer, p, len);

    return len;
}


static int
open_stream(const char *port, const char *path, const char *id)
{
    int                 fd;
    char                request[8192];
    struct timeval      tv = { 0, 200000 };
    struct sockaddr_in  sin = { .sin_family = AF_INET };

    sin.sin_port = htons((uint16_t) atoi(port));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd == -1 || connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        perror("connect");
        exit(1);
    }

    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));

    /* 1.0: the body is not in chunks */

    (void) snprintf(request, sizeof(request),
                    "GET %s HTTP/1.0\r\nHost: localhost\r\n%s%s%s\r\n", path,
                    id ? "Last-Event-ID: " : "", id ? id : "",
                    id ? "\r\n" : "");

    if (write(fd, request, strlen(request)) != (ssize_t) strlen(request)) {
        perror("write");
        exit(1);
    }

    return fd;
}


int
main(int argc, char **argv)
{
    int          fd, pause_ms;
    double       end;
    size_t       len;
    ssize_t      n;
    uint64_t     until;
    const char  *text;

    if (argc < 3) {
        fprintf(stderr, "reader PORT PATH [SECONDS [PAUSE_MS [ID]]]\n");
        return 2;
    }

    (void) signal(SIGTERM, on_signal);
    (void) signal(SIGUSR1, on_signal);

    text = getenv("UNTIL");
    until = text ? strtoull(text, NULL, 10) : UINT64_MAX;

    end = now() + (argc > 3 ? atof(argv[3]) : 86400);
    pause_ms = argc > 4 ? atoi(argv[4]) : 0;
    len = 0;

    fd = open_stream(argv[1], argv[2], argc > 5 ? argv[5] : NULL);

    while (!stop && now() < end && books.records + books.missed < until) {
        n = read(fd, buffer + len, SIZE - len - 1);

        if (n == 0) {
            break;
        }

        if (n == -1) {
            if (errno == EAGAIN || errno == EINTR) {
                continue;
            }

            perror("read");
            break;
        }

        books.bytes += (uint64_t) n;
        books.reads++;
        len = lines(len + (size_t) n);

        if (pause_ms && books.decisions) {

            while (pause_ms < 0 && !go && !stop) {
                (void) usleep(10000);
            }

            if (pause_ms > 0) {
                (void) usleep((useconds_t) pause_ms * 1000);
            }

            pause_ms = 0;
        }
    }

    printf("{\"decisions\":%lu,\"done\":%lu,\"records\":%lu,\"gaps\":%lu,"
           "\"missed\":%lu,\"skipped\":%lu,\"repeated\":%lu,\"bytes\":%lu,"
           "\"reads\":%lu,\"why\":\"%s\",\"id\":\"%s\",\"bye\":%s}\n",
           books.decisions, books.done, books.records, books.gaps,
           books.missed, books.skipped, books.repeated, books.bytes,
           books.reads, books.why, books.id,
           books.bye[0] ? books.bye : "null");

    return 0;
}
