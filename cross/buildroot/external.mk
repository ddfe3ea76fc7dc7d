include $(sort $(wildcard $(BR2_EXTERNAL_CPE_AGENT_PATH)/package/*/*.mk))
