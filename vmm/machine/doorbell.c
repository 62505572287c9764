/* Doorbells as KVM's ioeventfds.  Linux Documentation/virt/kvm/api.rst: KVM_IOEVENTFD. */
#include "vmm/machine/doorbell.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/log.h"

static int ioeventfd(void *arg, const struct doorbell *bell, uint32_t flags)
{
	struct kvm_ioeventfd request = {
		.datamatch = bell->value,
		.addr = bell->addr,
		.len = bell->len,
		.fd = bell->fd,
		.flags = flags,
	};

	if (bell->space == DOORBELL_PIO)
		request.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (bell->match)
		request.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	return ioctl((int)(intptr_t)arg, KVM_IOEVENTFD, &request) < 0 ? -errno : 0;
}

static int kvm_attach(void *arg, const struct doorbell *bell)
{
	return ioeventfd(arg, bell, 0);
}

static int kvm_detach(void *arg, const struct doorbell *bell)
{
	return ioeventfd(arg, bell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

const struct doorbell_ops doorbell_kvm_ops = {
	.attach = kvm_attach,
	.detach = kvm_detach,
};

int doorbell_attach(const struct doorbells *bells, const struct doorbell *bell)
{
	return bells->ops ? bells->ops->attach(bells->arg, bell) : -EOPNOTSUPP;
}

void doorbell_detach(const struct doorbells *bells, const struct doorbell *bell)
{
	int r = bells->ops ? bells->ops->detach(bells->arg, bell) : 0;

	if (r < 0)
		log_warning("doorbell at 0x%llx cannot be detached: %s",
			    (unsigned long long)bell->addr, strerror(-r));
}
