/* Consoles, entropy, balloon, sockets, SCSI, shares, the IOMMU, and what firmware tables tell. */
#include <string.h>

#include "virtio/virtio_ids.h"
#include "vmm/base/text.h"
#include "vmm/export/qemu_impl.h"

/* --- Consoles -------------------------------------------------------------------------------- */

/* Where a console leads: "stdio" is one for both, as they share the terminal. */
static void put_chardev(struct qemu_export *x, const struct target *target, const char *id)
{
	if (target->kind == TARGET_OFF || target->kind == TARGET_STDIO)
		return;
	if (target->kind == TARGET_FILE) {
		qemu_begin(&x->line, "-chardev", "file,id=%s", id);
		qemu_put_path(&x->line, "path", target->path);
	} else {
		qemu_begin(&x->line, "-chardev", "null,id=%s", id);
	}
	qemu_end(&x->line);
}

static const char *chardev_of(const struct target *target, const char *id)
{
	return target->kind == TARGET_STDIO ? "stdio" : id;
}

static void put_consoles(struct qemu_export *x)
{
	const struct target *console = &x->config->console, *serial = &x->config->serial;

	if (console->kind == TARGET_STDIO || serial->kind == TARGET_STDIO)
		qemu_word(&x->line, "-chardev", "stdio,id=stdio,mux=on,signal=off");
	put_chardev(x, serial, "serial");
	put_chardev(x, console, "console");
	if (serial->kind != TARGET_OFF) {
		qemu_begin(&x->line, "-serial", "chardev:%s", chardev_of(serial, "serial"));
		qemu_end(&x->line);
	}
	if (console->kind == TARGET_OFF)
		return;
	qemu_device(x, "virtio-serial", VIRTIO_ID_CONSOLE, "console");
	qemu_put(&x->line, ",id=console,max_ports=1");
	qemu_end(&x->line);
	qemu_begin(&x->line, "-device", "virtconsole,bus=console.0,chardev=%s",
		   chardev_of(console, "console"));
	qemu_end(&x->line);
}

/* --- The others ------------------------------------------------------------------------------ */

static void put_rng(struct qemu_export *x)
{
	if (x->config->rng != PRESENCE_ON)
		return;
	qemu_word(&x->line, "-object", "rng-builtin,id=entropy");
	qemu_device(x, "virtio-rng", VIRTIO_ID_RNG, "rng");
	qemu_put(&x->line, ",rng=entropy");
	qemu_end(&x->line);
}

static void put_balloon(struct qemu_export *x)
{
	const struct balloon_settings *balloon = &x->config->balloon;
	char size[24];

	if (!balloon->given)
		return;
	qemu_device(x, "virtio-balloon", VIRTIO_ID_BALLOON, "balloon");
	qemu_put(&x->line, ",deflate-on-oom=%s,free-page-reporting=%s,page-poison=%s",
		 balloon->deflate_on_oom ? "on" : "off", balloon->reporting ? "on" : "off",
		 balloon->poison ? "on" : "off");
	qemu_end(&x->line);
	if (balloon->size)
		qemu_remark(&x->line, "balloon.size: tell the monitor, 'balloon N' with the MiB "
				      "that stay (%s less than all)",
			    text_format_size(size, balloon->size));
}

static void put_vsock(struct qemu_export *x)
{
	const struct vsock_settings *vsock = &x->config->vsock;
	bool is_auto = vsock->cid && !strcmp(vsock->cid, "auto");

	if (!vsock->given)
		return;
	if (vsock->socket) {
		qemu_remark(&x->line, "vsock.socket: QEMU leads sockets to AF_VSOCK of the host "
				      "only; there is no vsock");
		x->n_devices++;
		return;
	}
	if (is_auto)
		qemu_remark(&x->line, "vsock.cid: QEMU does not look for a free one; 3 may be "
				      "taken");
	qemu_device(x, "vhost-vsock", VIRTIO_ID_VSOCK, "vsock");
	qemu_put(&x->line, ",guest-cid=%s", is_auto ? "3" : vsock->cid);
	if (vsock->fd)
		qemu_put(&x->line, ",vhostfd=%u", vsock->fd);
	qemu_end(&x->line);
}

static void put_scsi(struct qemu_export *x, const struct scsi_settings *scsi)
{
	qemu_device(x, "vhost-scsi", VIRTIO_ID_SCSI, scsi->name);
	qemu_put_text(&x->line, "wwpn", scsi->wwpn ? scsi->wwpn : "");
	qemu_put(&x->line, ",num_queues=%u", scsi->queues);
	qemu_end(&x->line);
}

/* QEMU starts no virtiofsd; what would have to be typed before is told. */
static void put_share(struct qemu_export *x, const struct share_settings *share)
{
	const char *program = share->program ? share->program : "virtiofsd";
	char path[128];

	snprintf(path, sizeof(path), "%s.sock", share->name);
	if (!share->socket)
		qemu_remark(&x->line, "shares.%s: start this first: %s --socket-path='./%s' "
				      "--shared-dir='%s'%s", share->name, program, path,
			    share->path ? share->path : "", share->readonly ? " --readonly" : "");
	qemu_begin(&x->line, "-chardev", "socket,id=share%u",
		   (unsigned)(share - x->config->share));
	qemu_put_path(&x->line, "path", share->socket ? share->socket : path);
	qemu_end(&x->line);
	qemu_device(x, "vhost-user-fs", VIRTIO_ID_FS, share->name);
	qemu_put(&x->line, ",chardev=share%u", (unsigned)(share - x->config->share));
	qemu_put_text(&x->line, "tag", share->name);
	qemu_put(&x->line, ",num-request-queues=%u", share->queues);
	qemu_end(&x->line);
}

static void put_iommu(struct qemu_export *x)
{
	if (!config_has_iommu(x->config))
		return;
	qemu_device(x, "virtio-iommu", VIRTIO_ID_IOMMU, "iommu");
	qemu_put(&x->line, ",boot-bypass=%s", x->config->iommu.bypass ? "on" : "off");
	qemu_end(&x->line);
}

/* systemd reads them from the firmware's tables. */
static void put_credentials(struct qemu_export *x)
{
	const struct text_list *list = &x->config->credentials;

	for (unsigned i = 0; i < list->n; i++) {
		char pair[4096];
		int len = snprintf(pair, sizeof(pair), "io.systemd.credential:%s", list->item[i]);

		if (len >= (int)sizeof(pair) || x->microvm) {
			qemu_remark(&x->line, "credentials.%.*s: %s",
				    (int)strcspn(list->item[i], "="), list->item[i],
				    x->microvm ? "microvm has no SMBIOS" : "too long for a word");
			continue;
		}
		qemu_begin(&x->line, "-smbios", "type=11");
		qemu_put_text(&x->line, "value", pair);
		qemu_end(&x->line);
	}
}

void qemu_other_devices(struct qemu_export *x)
{
	put_consoles(x);
	put_rng(x);
	put_balloon(x);
	put_vsock(x);
	for (unsigned i = 0; i < x->config->n_scsis; i++)
		put_scsi(x, &x->config->scsi[i]);
	for (unsigned i = 0; i < x->config->n_shares; i++)
		put_share(x, &x->config->share[i]);
	put_iommu(x);
	put_credentials(x);
}
