// A PostgreSQL server that answers at once, so that the database is never what a run waits for:
//   scripted-server PORT LOGIN BEHIND_PORT
// LOGIN is let in, and whatever it asks is answered with one row of one number: bytes that were made before. All others (Rowgate reads the catalog)
// are passed on to the real server on BEHIND_PORT. One thread, one read and one write for all that came together. Messages are those of the
// documentation's chapter "Frontend/Backend Protocol".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHUNK = 1 << 16, MAX_MESSAGE = 1 << 20, MAX_ANSWER = 1024, EVENTS = 256 };
enum { SSL_REQUEST = 80877103, GSS_REQUEST = 80877104, PROTOCOL_3 = 196608 };

// What came of a message whose end has not come. Idle connections keep nothing.
struct connection { int fd; int started; char *rest; size_t restBytes; };

struct text { char bytes[MAX_ANSWER]; size_t length; };
static struct text welcome, row, number, schemas, complete, setComplete, ready, parsed, bound, closed, noParameters;
static char in[CHUNK + MAX_MESSAGE], out[CHUNK + 2 * MAX_ANSWER];
static size_t outBytes;
static const char *login;
static uint16_t behindPort;

static uint32_t int32At(const char *at) { uint32_t value; memcpy(&value, at, 4); return ntohl(value); }

static void die(const char *what) { perror(what); exit(1); }

static void add(struct text *to, char type, const void *body, size_t length) {
  uint32_t head = htonl((uint32_t)length + 4);
  to->bytes[to->length] = type;
  memcpy(to->bytes + to->length + 1, &head, 4);
  memcpy(to->bytes + to->length + 5, body, length);
  to->length += 5 + length;
}

static void addStatus(const char *name, const char *value) {
  char body[200];
  size_t nameBytes = strlen(name) + 1, valueBytes = strlen(value) + 1;
  memcpy(body, name, nameBytes);
  memcpy(body + nameBytes, value, valueBytes);
  add(&welcome, 'S', body, nameBytes + valueBytes);
}

static void addDataRow(struct text *to, const char *value) {
  char body[100] = { 0, 1, 0, 0, 0, (char)strlen(value) };
  memcpy(body + 6, value, strlen(value));
  add(to, 'D', body, 6 + strlen(value));
}

static void makeAnswers(void) {
  add(&welcome, 'R', "\0\0\0\0", 4);
  const char *statuses[][2] = {
    { "server_version", "18.0" }, { "server_encoding", "UTF8" }, { "client_encoding", "UTF8" }, { "DateStyle", "ISO, MDY" }, { "IntervalStyle", "postgres" },
    { "TimeZone", "UTC" }, { "integer_datetimes", "on" }, { "standard_conforming_strings", "on" }, { "is_superuser", "off" }, { "session_authorization", login },
    { "application_name", "bench" }, { "default_transaction_read_only", "off" }, { "in_hot_standby", "off" }, { "search_path", "\"$user\", public" },
  };
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) addStatus(statuses[i][0], statuses[i][1]);
  add(&welcome, 'K', "\0\0\1\0\0\0\0\7", 8);
  add(&ready, 'Z', "I", 1);
  add(&welcome, 'Z', "I", 1);
  // One column, int4, of no table.
  add(&row, 'T', "\0\1" "abalance\0" "\0\0\0\0" "\0\0" "\0\0\0\x17" "\0\4" "\xff\xff\xff\xff" "\0\0", 2 + 9 + 18);
  addDataRow(&number, "1");
  addDataRow(&schemas, "{pg_catalog,public}");
  add(&complete, 'C', "SELECT 1", 9);
  add(&setComplete, 'C', "SET", 4);
  add(&parsed, '1', "", 0);
  add(&bound, '2', "", 0);
  add(&closed, '3', "", 0);
  add(&noParameters, 't', "\0\0", 2);
}

static int writeAll(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t done = send(fd, bytes, length, MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN && errno != EINTR) return -1;
    if (done < 0) poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 1000);
    else bytes += done, length -= (size_t)done;
  }
  return 0;
}

static void say(const struct text *what) {
  memcpy(out + outBytes, what->bytes, what->length);
  outBytes += what->length;
}

static void answer(char type, const char *body) {
  switch (type) {
    case 'Q':
      if (strncasecmp(body, "select", 6) == 0) say(&row), say(&number), say(&complete);
      else say(&setComplete);
      say(&ready);
      return;
    case 'P': say(&parsed); return;
    case 'B': say(&bound); return;
    case 'C': say(&closed); return;
    case 'S': say(&ready); return;
    case 'D':
      if (*body == 'S') say(&noParameters);
      say(&row);
      return;
    case 'E':
      // Clients use the portal without a name; Rowgate asks for the search path through one of its own.
      say(*body == 0 ? &number : &schemas);
      say(&complete);
      return;
    default: return;
  }
}

// In a process of its own, since there are few of these and they last.
static void relay(int fd, const char *first, size_t length) {
  if (fork() != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(fd, 3);
  // Of other connections nothing may stay open here.
  syscall(SYS_close_range, 4, ~0U, 0);
  int behind = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(behindPort), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (connect(behind, (struct sockaddr *)&address, sizeof address) < 0 || writeAll(behind, first, length) < 0) _exit(1);
  struct pollfd both[2] = { { .fd = 3, .events = POLLIN }, { .fd = behind, .events = POLLIN } };
  while (poll(both, 2, -1) > 0) {
    for (int side = 0; side < 2; side++) {
      if (both[side].revents == 0) continue;
      ssize_t got = recv(both[side].fd, in, CHUNK, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0 || writeAll(both[1 - side].fd, in, (size_t)got) < 0) _exit(0);
    }
  }
  _exit(0);
}

static int isLogin(const char *parameters, const char *end) {
  while (parameters < end && *parameters != 0) {
    const char *value = parameters + strlen(parameters) + 1;
    if (strcmp(parameters, "user") == 0) return strcmp(value, login) == 0;
    parameters = value + strlen(value) + 1;
  }
  return 0;
}

// -1 once the connection is over.
static int begin(struct connection *of, const char *message, uint32_t length) {
  uint32_t code = int32At(message + 4);
  if (code == SSL_REQUEST || code == GSS_REQUEST) return writeAll(of->fd, "N", 1);
  if (code >> 16 != PROTOCOL_3 >> 16) return -1;
  if (!isLogin(message + 8, message + length)) {
    relay(of->fd, message, length);
    return -1;
  }
  of->started = 1;
  say(&welcome);
  return 0;
}

static int receive(struct connection *of) {
  if (of->restBytes > 0) memcpy(in, of->rest, of->restBytes);
  ssize_t got = recv(of->fd, in + of->restBytes, CHUNK, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got <= 0) return -1;
  size_t end = of->restBytes + (size_t)got, at = 0;
  outBytes = 0;
  for (;;) {
    size_t head = of->started ? 1 : 0;
    if (end - at < head + 8 - 4 * head) break;
    uint32_t length = int32At(in + at + head);
    if (length < (of->started ? 4U : 8U) || length > MAX_MESSAGE - CHUNK) return -1;
    if (end - at < head + length) break;
    if (!of->started) {
      if (begin(of, in + at, length) < 0) return -1;
    } else if (in[at] == 'X') {
      return -1;
    } else {
      answer(in[at], in + at + 5);
    }
    at += head + length;
    if (outBytes > CHUNK) {
      if (writeAll(of->fd, out, outBytes) < 0) return -1;
      outBytes = 0;
    }
  }
  free(of->rest);
  of->rest = NULL;
  of->restBytes = end - at;
  if (of->restBytes > 0) memcpy(of->rest = malloc(of->restBytes), in + at, of->restBytes);
  return writeAll(of->fd, out, outBytes);
}

int main(int count, char **arguments) {
  if (count != 4) return fputs("scripted-server PORT LOGIN BEHIND_PORT\n", stderr), 2;
  login = arguments[2];
  behindPort = (uint16_t)atoi(arguments[3]);
  makeAnswers();
  signal(SIGCHLD, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  if (listen(listener, 1024) < 0) die("listen");
  int queue = epoll_create1(0);
  epoll_ctl(queue, EPOLL_CTL_ADD, listener, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = NULL });
  for (;;) {
    struct epoll_event events[EVENTS];
    int found = epoll_wait(queue, events, EVENTS, -1);
    if (found < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < found; i++) {
      struct connection *of = events[i].data.ptr;
      if (of == NULL) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        of = calloc(1, sizeof *of);
        of->fd = fd;
        epoll_ctl(queue, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = of });
      } else if (receive(of) < 0) {
        // A relay has the connection too.
        epoll_ctl(queue, EPOLL_CTL_DEL, of->fd, NULL);
        close(of->fd);
        free(of->rest);
        free(of);
      }
    }
  }
}
