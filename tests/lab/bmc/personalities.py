"""How families of BMCs differ from the standard, as data: one entry for each row of the plugin's table of profiles.

What each key does is in redfish.py, where it is looked up; an absent one means the standard's way.
"""

PERSONALITIES = {
    "generic": {},
    "dell": {"vendor": "Dell", "manufacturer": "Dell Inc.", "attached": True, "one_info": True, "busy_patches": 1,
             "busy_id": "SYS518"},
    "dell-old": {"vendor": "Dell", "manufacturer": "Dell Inc.", "targets": ["None", "Pxe", "Hdd"], "server_boot": True},
    "dell-idrac10": {"vendor": "Dell", "manufacturer": "Dell Inc.", "manager_model": "17G Monolithic", "slot": "1",
                     "settings": "Settings", "system_patch": "PropertyNotWritable", "refuses_etag_on_post": True, "on_conflicts": 1},
    "hpe": {"vendor": "HPE", "manufacturer": "HPE", "empty_image": "", "eject_needs_media": True, "no_target_none": True},
    "lenovo-xcc": {"vendor": "Lenovo", "manufacturer": "Lenovo", "insert_by_patch": True, "needs_etag": True,
                   "enabled": ["Disabled", "Once"]},
    "supermicro": {"vendor": "Supermicro", "manufacturer": "Supermicro", "insert_only": ["Image"], "media_under": "Managers",
                   "targets": ["None", "Pxe", "Cd", "UsbCd"], "boots_from": "UsbCd", "keeps_image": True},
    "ami": {"vendor": "AMI", "manufacturer": "ASRockRack", "empty_image": "None", "media_types": ["DVD"],
            "insert_needs": ["TransferProtocolType"], "boot_needs": ["BootSourceOverrideMode"], "needs_etag": True},
    "nvidia-dgx": {"vendor": "NVIDIA", "manufacturer": "NVIDIA", "model": "DGX H100", "settings": "SD",
                   "system_patch": "", "insert_needs": ["UserName", "Password"]},
    "nvidia-gb200": {"vendor": "NVIDIA", "manufacturer": "NVIDIA", "model": "GB200 NVL", "no_mode": True,
                     "schemes": ["https"], "insert_needs": ["TransferMethod"]},
    "nvidia-bluefield": {"vendor": "Nvidia", "manufacturer": "Nvidia", "model": "BlueField-3 DPU", "no_media": True,
                         "targets": ["None", "Pxe", "UefiHttp"], "boots_from": "UefiHttp"},
    "openbmc": {"vendor": "", "oem": "OpenBmc", "schemes": ["https"], "insert_needs": ["TransferMethod"], "last_reset": True},
    # Not a family: what some of any vendor do.
    "no-links": {"no_managed_by": True, "media_under": "Managers", "no_allowable": True},
    "strong-etag": {"needs_etag": True, "weak_refused": True},
    "last-reset": {"last_reset": True},
}
