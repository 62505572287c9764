#include "devices/platform.h"

void platform_device_reset(struct platform_device *dev)
{
	if (dev->ops->reset)
		dev->ops->reset(dev);
}

void platform_device_destroy(struct platform_device *dev)
{
	if (dev)
		dev->ops->destroy(dev);
}
