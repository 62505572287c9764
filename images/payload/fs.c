/*
 * A shared folder, driven down to FUSE: virtio-v1.4 5.11 "File System Device", and the kernel's
 * include/uapi/linux/fuse.h for what is in the requests.
 *
 * The folder has a file "hello" with "hello from the host\n", and a folder "sub".  Options: "readonly"
 * when it must not be written; "killed" when somebody ends the virtiofsd once "waiting" is printed;
 * tag=NAME; ring=split, ring=packed.
 */
#include <linux/fuse.h>

#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/ring.h"

enum { HIPRIO, REQUEST, N_RINGS, DATA_SIZE = 8192, IN_HEADER = 40, OUT_HEADER = 16 };
enum { TAG_SIZE = 36, NUM_QUEUES_AT = 36 };
enum { ENOENT = 2, EIO = 5, EBADF = 9, EINVAL = 22, EROFS = 30, ENOSYS = 38 };
enum { O_RDONLY = 0, O_RDWR = 2, O_CREAT = 0100 };
enum { ROOT_NODE = 1, CANARY = 0x5a };

static struct virtio device;
static struct ring ring[N_RINGS];
static uint8_t *out, *in;		/* what the device reads / writes; DATA_SIZE each */
static uint64_t unique;
static uint32_t out_len;		/* of 'out', so far */

static struct fuse_in_header *header(void)
{
	return (struct fuse_in_header *)out;
}

static struct fuse_out_header *answer(void)
{
	return (struct fuse_out_header *)in;
}

static void *body(void)
{
	return in + OUT_HEADER;
}

static void begin(uint32_t opcode, uint64_t node)
{
	memset(out, 0, DATA_SIZE);
	memset(in, CANARY, DATA_SIZE);
	*header() = (struct fuse_in_header){ .opcode = opcode, .unique = ++unique, .nodeid = node };
	out_len = IN_HEADER;
}

static void put(const void *bytes, uint32_t len)
{
	memcpy(out + out_len, bytes, len);
	out_len += len;
}

static void put_name(const char *name)
{
	put(name, (uint32_t)strlen(name) + 1);
}

/*
 * Send it with room for 'in_len' bytes of answer, in pieces that do not end where anything of FUSE
 * does.  Returns the error (0: none), or -1 without an answer.
 */
static int send_on(unsigned queue, uint32_t in_len)
{
	struct ring *r = &ring[queue];
	uint32_t cut = out_len > 13 ? 13 : out_len;
	const struct piece piece[] = {
		{ out, cut }, { out + cut, out_len - cut }, { in, in_len > 7 ? 7 : in_len },
		{ in + 7, in_len > 7 ? in_len - 7 : 0 },
	};

	header()->len = out_len;
	/* Whole in one where there is nothing to cut. */
	if (in_len > 7)
		ring_add(r, piece, 2, 2);
	else
		ring_add(r, piece, 2, in_len > 0);
	ring_publish(r);
	if (!check(ring_wait(r) >= 0, "opcode %u: no answer", header()->opcode))
		return -1;
	if (in_len < OUT_HEADER)
		return 0;
	check_equal(answer()->unique, unique, "unique");
	check_equal(r->taken_len, answer()->len, "used length");
	check(answer()->len >= OUT_HEADER && answer()->len <= in_len, "answer of %u bytes",
	      answer()->len);
	for (uint32_t i = answer()->len; i < DATA_SIZE; i++) {
		if (!check(in[i] == CANARY, "byte %u behind the answer is written", i))
			break;
	}
	return -answer()->error;
}

static int send(uint32_t body_len)
{
	return send_on(REQUEST, OUT_HEADER + body_len);
}

/* --- Requests -------------------------------------------------------------------------------- */

static int init(void)
{
	struct fuse_init_in request = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 1 << 20,
	};
	int error;

	begin(FUSE_INIT, 0);
	put(&request, sizeof(request));
	error = send(sizeof(struct fuse_init_out));
	if (error == 0)
		check_equal(((struct fuse_init_out *)body())->major, FUSE_KERNEL_VERSION, "major");
	return error;
}

static int lookup(uint64_t parent, const char *name, struct fuse_entry_out *entry)
{
	int error;

	begin(FUSE_LOOKUP, parent);
	put_name(name);
	error = send(sizeof(*entry));
	memcpy(entry, body(), sizeof(*entry));
	return error;
}

static int open_file(uint64_t node, uint32_t flags, uint64_t *handle)
{
	struct fuse_open_in request = { .flags = flags };
	int error;

	begin(FUSE_OPEN, node);
	put(&request, sizeof(request));
	error = send(sizeof(struct fuse_open_out));
	*handle = ((struct fuse_open_out *)body())->fh;
	return error;
}

static int read_file(uint64_t node, uint64_t handle, uint64_t offset, uint32_t size)
{
	struct fuse_read_in request = { .fh = handle, .offset = offset, .size = size };

	begin(FUSE_READ, node);
	put(&request, sizeof(request));
	return send(size < 4096 ? size : 4096);
}

static int write_file(uint64_t node, uint64_t handle, const char *text)
{
	struct fuse_write_in request = { .fh = handle, .size = (uint32_t)strlen(text) };

	begin(FUSE_WRITE, node);
	put(&request, sizeof(request));
	put(text, request.size);
	return send(sizeof(struct fuse_write_out));
}

static int create_file(const char *name, struct fuse_entry_out *entry, uint64_t *handle)
{
	struct fuse_create_in request = { .flags = O_RDWR | O_CREAT, .mode = 0100644 };
	int error;

	begin(FUSE_CREATE, ROOT_NODE);
	put(&request, sizeof(request));
	put_name(name);
	error = send(sizeof(*entry) + sizeof(struct fuse_open_out));
	memcpy(entry, body(), sizeof(*entry));
	*handle = ((struct fuse_open_out *)((uint8_t *)body() + sizeof(*entry)))->fh;
	return error;
}

static void release(uint64_t node, uint64_t handle)
{
	struct fuse_release_in request = { .fh = handle };

	begin(FUSE_RELEASE, node);
	put(&request, sizeof(request));
	check_equal((uint64_t)send(0), 0, "error of RELEASE");
}

/* It has no answer, and so no used length. */
static void forget(unsigned queue, uint64_t node, uint64_t n)
{
	struct fuse_forget_in request = { .nlookup = n };

	begin(FUSE_FORGET, node);
	put(&request, sizeof(request));
	send_on(queue, 0);
	check_equal(ring[queue].taken_len, 0, "used length of FORGET");
}

/* --- What is claimed ------------------------------------------------------------------------- */

/* covers: FS-CFG-01 FS-CFG-03 */
static void configuration(void)
{
	const char *tag = option_next("tag", NULL);
	bool ended = false;

	for (unsigned i = 0; tag && i < TAG_SIZE; i++) {
		uint8_t want = ended || tag[i] == ' ' || tag[i] == '\0' ? 0 : (uint8_t)tag[i];
		ended |= want == 0;
		check_equal(device.ops->read_config(&device, i, 1), want, "byte of the tag");
	}
	check(device.ops->read_config(&device, NUM_QUEUES_AT, 4) >= 1, "no request queue");
}

/* covers: FS-REQ-05 */
static void nothing_before_init(void)
{
	struct fuse_entry_out entry;

	check(lookup(ROOT_NODE, "hello", &entry) > 0, "LOOKUP before INIT is answered");
}

/* covers: FS-REQ-01 FS-REQ-03 */
static void read_what_is_there(void)
{
	static const char text[] = "hello from the host\n";
	struct fuse_entry_out entry;
	uint64_t handle;

	check_equal((uint64_t)lookup(ROOT_NODE, "hello", &entry), 0, "error of LOOKUP");
	check_equal(entry.attr.size, sizeof(text) - 1, "size of the file");
	check_equal((uint64_t)open_file(entry.nodeid, O_RDONLY, &handle), 0, "error of OPEN");
	check_equal((uint64_t)read_file(entry.nodeid, handle, 0, 4096), 0, "error of READ");
	check_equal(answer()->len, OUT_HEADER + sizeof(text) - 1, "bytes read");
	check(memcmp(body(), text, sizeof(text) - 1) == 0, "other bytes than the host's");
	check_equal((uint64_t)read_file(entry.nodeid, handle, 11, 3), 0, "error of READ");
	check(memcmp(body(), "the", 3) == 0, "other bytes in the middle");
	check_equal((uint64_t)read_file(entry.nodeid, handle, 1 << 20, 16), 0, "READ at the end");
	check_equal(answer()->len, OUT_HEADER, "bytes behind the end");
	release(entry.nodeid, handle);
	forget(HIPRIO, entry.nodeid, 1);
}

static void write_a_file(void)
{
	static const char text[] = "hello from the guest\n";
	struct fuse_entry_out entry;
	uint64_t handle;
	int error = create_file("written", &entry, &handle);

	if (option_given("readonly")) {
		check_equal((uint64_t)error, EROFS, "error of CREATE in a read-only folder");
		check_equal((uint64_t)lookup(ROOT_NODE, "hello", &entry), 0, "error of LOOKUP");
		check_equal((uint64_t)open_file(entry.nodeid, O_RDWR, &handle), EROFS,
			    "error of OPEN for writing in a read-only folder");
		return;
	}
	if (!check_equal((uint64_t)error, 0, "error of CREATE"))
		return;
	check_equal((uint64_t)write_file(entry.nodeid, handle, text), 0, "error of WRITE");
	check_equal(((struct fuse_write_out *)body())->size, sizeof(text) - 1, "bytes written");
	check_equal((uint64_t)read_file(entry.nodeid, handle, 0, 4096), 0, "error of READ");
	check(memcmp(body(), text, sizeof(text) - 1) == 0, "other bytes than were written");
	release(entry.nodeid, handle);
}

/* The inode number of the shared folder on the host. */
static uint64_t root_ino(unsigned queue)
{
	struct fuse_getattr_in request = { 0 };

	begin(FUSE_GETATTR, ROOT_NODE);
	put(&request, sizeof(request));
	check_equal((uint64_t)send_on(queue, OUT_HEADER + sizeof(struct fuse_attr_out)), 0,
		    "error of GETATTR");
	return ((struct fuse_attr_out *)body())->attr.ino;
}

/* covers: FS-REQ-06 FS-REQ-07 FS-REQ-08 FS-REQ-10 FS-REQ-11 */
static void odd_requests(void)
{
	static const char *const bad[] = { "../etc", "sub/../hello", "/etc", "..", "nothing" };
	struct fuse_entry_out entry;

	/* One of the priority queue does no harm on the other, nor the other way round. */
	check(root_ino(HIPRIO) == root_ino(REQUEST), "the root is not the root");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ino = root_ino(REQUEST);
		int error = lookup(ROOT_NODE, bad[i], &entry);
		/* ".." of the root is the root. */
		check(error > 0 || entry.attr.ino == ino, "LOOKUP of '%s' leads out", bad[i]);
	}
	forget(REQUEST, ROOT_NODE, 1);
	begin(9999, ROOT_NODE);
	check_equal((uint64_t)send(64), ENOSYS, "error of an unknown opcode");
	check(lookup(1ull << 60, "hello", &entry) > 0, "LOOKUP in an unknown node");
	check(read_file(ROOT_NODE, 1ull << 40, 0, 64) > 0, "READ of an unknown handle");
}

/*
 * What is no request: the virtiofsd may answer with an error or with nothing, or end for shame; the
 * device goes on, or says that it needs a reset, and nothing is written where it must not be.
 */
static void no_request(uint32_t readable, uint32_t writable, uint32_t len)
{
	const struct piece piece[] = { { out, readable }, { in, writable } };
	struct ring *r = &ring[REQUEST];

	begin(FUSE_LOOKUP, ROOT_NODE);
	put_name("hello");
	header()->len = len;
	r->taken_len = 0;
	ring_add(r, readable ? piece : piece + 1, readable > 0, writable > 0);
	ring_publish(r);
	if (!check(WAIT_UNTIL(ring_take(r) >= 0 ||
			      (virtio_status(&device) & VIRTIO_STATUS_NEEDS_RESET), WAIT_LONG),
		   "%u, %u bytes: neither an answer nor a failure", readable, writable))
		return;
	check(r->taken_len <= writable, "%u of %u bytes are used", r->taken_len, writable);
	for (uint32_t i = writable; i < DATA_SIZE; i++) {
		if (!check(in[i] == CANARY, "byte %u behind the buffer is written", i))
			break;
	}
}

/* covers: FS-REQ-04 */
static void no_requests(void)
{
	uint32_t whole = IN_HEADER + 6;

	no_request(whole, OUT_HEADER + sizeof(struct fuse_entry_out), UINT32_MAX);
	no_request(whole, OUT_HEADER + sizeof(struct fuse_entry_out), 0);
	no_request(IN_HEADER - 1, OUT_HEADER, IN_HEADER - 1);
	no_request(1, OUT_HEADER, 1);
	no_request(whole, OUT_HEADER - 1, whole);
	no_request(whole, 0, whole);
	no_request(0, OUT_HEADER, 0);
}

/* covers: FS-REQ-02 FS-REQ-09 */
static void new_session(void)
{
	struct fuse_entry_out entry;

	check_equal((uint64_t)lookup(ROOT_NODE, "sub", &entry), 0, "error of LOOKUP");
	check_equal((uint64_t)init(), 0, "error of a second INIT");
	check_equal((uint64_t)lookup(ROOT_NODE, "hello", &entry), 0, "error of LOOKUP after it");
}

/* Somebody ends the virtiofsd now; the next one does not know us, and says so. */
static void survive(void)
{
	struct fuse_entry_out entry;
	int error = 0;

	print("waiting\n");
	if (!check(WAIT_UNTIL((error = lookup(ROOT_NODE, "hello", &entry)) != 0, WAIT_LONG * 4),
		   "nobody has ended the virtiofsd"))
		return;
	print("lost: error %d\n", error);
	check_equal((uint64_t)init(), 0, "error of INIT with the next virtiofsd");
	check_equal((uint64_t)lookup(ROOT_NODE, "hello", &entry), 0, "error of LOOKUP after it");
}

/* Features that choose a layout, by option ring=; 0 for nothing that is offered. */
static uint64_t wanted(void)
{
	uint64_t packed = 1ull << 34;

	return option_is("ring", "split") ? ~packed : ~0ull;
}

int main(void)
{
	uint64_t features;

	if (!virtio_find(&device, VIRTIO_ID_FS, 0))
		check_skip("no file system device");
	check(virtio_negotiate(&device, wanted(), &features), "FEATURES_OK does not stand");
	check(!option_is("ring", "packed") || (features & 1ull << 34), "no packed ring");
	for (unsigned i = 0; i < N_RINGS; i++)
		check(ring_init(&ring[i], &device, (uint16_t)i, 0, features), "no queue %u", i);
	out = heap_alloc(DATA_SIZE, 4096);
	in = heap_alloc(DATA_SIZE, 4096);
	virtio_driver_ok(&device);
	configuration();
	nothing_before_init();
	check_equal((uint64_t)init(), 0, "error of INIT");
	read_what_is_there();
	write_a_file();
	odd_requests();
	new_session();
	if (option_given("killed"))
		survive();
	if (option_given("abuse"))
		no_requests();
	return check_result("fs");
}
