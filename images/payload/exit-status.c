/* End with the status given as status=N. */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/run.h"

int main(void)
{
	return (int)option_number("status", 0);
}
